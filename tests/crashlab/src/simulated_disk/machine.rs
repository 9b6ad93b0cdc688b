//! The state of a simulated disk: names, files, what was counted and what fails.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use satpost_tests::random::Random;

use super::contents::Contents;
use super::{Dishonesty, EIO, ENOSPC, Failure, Kind, Operation, Survival};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

/// A change of names that is not durable yet. All of it is in one folder.
#[derive(Debug, Clone)]
enum NameChange {
    Add(PathBuf, Entry),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Names = BTreeMap<PathBuf, Entry>;

/// Everything about the disk.
#[derive(Clone)]
pub(super) struct Machine {
    root: PathBuf,
    names: Names,
    durable_names: Names,
    /// By folder, in order.
    pending_names: BTreeMap<PathBuf, Vec<NameChange>>,
    files: Vec<Contents>,
    /// The last name of each file.
    labels: Vec<PathBuf>,
    dishonesty: Dishonesty,
    pub(super) counts: BTreeMap<(Kind, PathBuf), u32>,
    pub(super) plan: Option<(Operation, Failure)>,
    pub(super) failed: bool,
    pub(super) off: bool,
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Add(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        NameChange::Rename(from, to) => {
            if let Some(entry) = names.remove(from) {
                names.insert(to.clone(), entry);
            }
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

impl Machine {
    pub(super) fn new(root: &Path, dishonesty: Dishonesty) -> Self {
        let names = Names::from([(root.to_owned(), Entry::Folder)]);
        Self {
            root: root.to_owned(),
            durable_names: names.clone(),
            names,
            pending_names: BTreeMap::new(),
            files: Vec::new(),
            labels: Vec::new(),
            dishonesty,
            counts: BTreeMap::new(),
            plan: None,
            failed: false,
            off: false,
        }
    }

    /// Counts an operation; says how it fails, if it is the one that does.
    pub(super) fn failure(&mut self, kind: Kind, path: &Path) -> io::Result<Option<Failure>> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        let path = path.strip_prefix(&self.root).unwrap_or(path).to_owned();
        let count = self.counts.entry((kind, path.clone())).or_default();
        *count += 1;
        let number = *count;
        let operation = Operation { kind, path, number };
        if self
            .plan
            .as_ref()
            .is_none_or(|(planned, _)| *planned != operation)
        {
            return Ok(None);
        }
        self.failed = true;
        Ok(self.plan.take().map(|(_, failure)| failure))
    }

    /// Carries out an operation, unless it is the one that fails.
    pub(super) fn act<T>(
        &mut self,
        kind: Kind,
        path: &Path,
        action: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.failure(kind, path)? {
            None => action(self),
            Some(failure) => self.fail_with(failure, action),
        }
    }

    pub(super) fn fail_with<T>(
        &mut self,
        failure: Failure,
        action: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        match failure {
            Failure::Enospc => return Err(io::Error::from_raw_os_error(ENOSPC)),
            Failure::CrashAfter => drop(action(self)),
            Failure::CrashBefore => {}
            Failure::Eio | Failure::ShortWrite | Failure::TornWrite | Failure::LostSync => {
                return Err(io::Error::from_raw_os_error(EIO));
            }
        }
        Err(self.cut_power())
    }

    pub(super) fn cut_power(&mut self) -> io::Error {
        self.off = true;
        io::Error::other("the power is off")
    }

    fn change(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        let (NameChange::Add(path, _) | NameChange::Rename(path, _) | NameChange::Remove(path)) =
            &change;
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        self.pending_names.entry(folder).or_default().push(change);
    }

    pub(super) fn create_folder(&mut self, path: &Path) {
        if !self.names.contains_key(path) {
            self.change(NameChange::Add(path.to_owned(), Entry::Folder));
        }
    }

    pub(super) fn list(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        if self.names.get(folder) != Some(&Entry::Folder) {
            return Err(not_found());
        }
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        Ok(self.names.keys().filter(inside).cloned().collect())
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Entry::File(id)) => Ok(*id),
            Some(Entry::Folder) | None => Err(not_found()),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        let folder = path.parent().unwrap_or(&self.root);
        if self.names.get(folder) != Some(&Entry::Folder) {
            return Err(not_found());
        }
        if let Ok(id) = self.find(path) {
            self.files[id].set_len(0);
            return Ok(id);
        }
        let id = self.files.len();
        self.files.push(Contents::default());
        self.labels.push(path.to_owned());
        self.change(NameChange::Add(path.to_owned(), Entry::File(id)));
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        to.clone_into(&mut self.labels[id]);
        self.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn sync_folder(&mut self, path: &Path) {
        if self.dishonesty.ignores_sync_folder {
            return;
        }
        for change in self.pending_names.remove(path).unwrap_or_default() {
            apply(&mut self.durable_names, &change);
        }
    }

    pub(super) fn sync(&mut self, id: usize) {
        if !self.dishonesty.ignores_sync {
            self.files[id].sync();
        }
    }

    pub(super) fn file(&mut self, id: usize) -> &mut Contents {
        &mut self.files[id]
    }

    pub(super) fn name(&self, id: usize) -> PathBuf {
        self.labels[id].clone()
    }

    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for (path, entry) in &self.names {
            if let Entry::File(id) = entry {
                let path = path.strip_prefix(&self.root).unwrap_or(path);
                files.insert(path.to_owned(), self.files[*id].cache().to_vec());
            }
        }
        files
    }

    pub(super) fn flip(&mut self, path: &Path, at: usize, mask: u8) {
        if let Some(Entry::File(id)) = self.names.get(&self.root.join(path)) {
            self.files[*id].flip(at, mask);
        }
    }

    pub(super) fn after_crash(&self, survival: Survival) -> Self {
        let mut random = Random::new(match survival {
            Survival::Seeded(seed) => seed,
            Survival::Nothing | Survival::Everything => 0,
            Survival::Cached => {
                return Self {
                    plan: None,
                    off: false,
                    ..self.clone()
                };
            }
        });
        let mut names = self.durable_names.clone();
        for changes in self.pending_names.values() {
            let survived = match survival {
                Survival::Nothing | Survival::Cached => 0,
                Survival::Everything => changes.len(),
                Survival::Seeded(_) => random.below(changes.len() + 1),
            };
            for change in &changes[..survived] {
                apply(&mut names, change);
            }
        }
        // What is in a folder goes with the folder.
        let folders: BTreeSet<_> = names
            .iter()
            .filter(|(_, entry)| **entry == Entry::Folder)
            .map(|(path, _)| path.clone())
            .collect();
        names.retain(|path, _| {
            *path == self.root || path.parent().is_some_and(|folder| folders.contains(folder))
        });
        let files = self.files.iter();
        let mut labels = self.labels.clone();
        for (path, entry) in &names {
            if let Entry::File(id) = entry {
                labels[*id].clone_from(path);
            }
        }
        Self {
            root: self.root.clone(),
            durable_names: names.clone(),
            names,
            pending_names: BTreeMap::new(),
            files: files
                .map(|file| file.after_crash(survival, &mut random))
                .collect(),
            labels,
            dishonesty: self.dishonesty,
            counts: self.counts.clone(),
            plan: None,
            failed: self.failed,
            off: false,
        }
    }
}
