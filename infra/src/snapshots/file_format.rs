//! The bytes of a snapshot file: what it is, of which projection, at which position, and a digest.
//!
//! ```text
//! "SATPSNAP" ‖ format u16 ‖ version u32 ‖ major u64 ‖ minor u64 ‖ name length u8 ‖ name
//!            ‖ state length u64 ‖ state ‖ SHA-256 of everything before
//! ```
//! Integers are little endian.

use satpost_domain::Position;
use satpost_domain::hash::sha256;
use satpost_projections::read_model::ProjectionSnapshot;

const MAGIC: &[u8; 8] = b"SATPSNAP";
const FORMAT: u16 = 1;
const DIGEST_BYTES: usize = 32;

/// The bytes of the file.
///
/// # Panics
/// When the name has more than 255 bytes.
pub(super) fn encode(snapshot: &ProjectionSnapshot) -> Vec<u8> {
    let name = snapshot.name.as_bytes();
    let mut bytes = Vec::with_capacity(128 + name.len() + snapshot.bytes.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&snapshot.version.to_le_bytes());
    bytes.extend_from_slice(&snapshot.position.major().to_le_bytes());
    bytes.extend_from_slice(&snapshot.position.minor().to_le_bytes());
    bytes.push(u8::try_from(name.len()).expect("the names of projections are short"));
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&(snapshot.bytes.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&snapshot.bytes);
    let digest = sha256(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// The snapshot in the bytes of a file, or why there is none.
pub(super) fn decode(mut bytes: Vec<u8>) -> Result<ProjectionSnapshot, String> {
    // The digest comes first: after it, only another format can be wrong.
    let content = bytes
        .len()
        .checked_sub(DIGEST_BYTES)
        .filter(|&content| bytes[content..] == *sha256(&bytes[..content]).as_bytes())
        .ok_or_else(|| "its digest is wrong".to_owned())?;
    bytes.truncate(content);
    let mut rest = Rest(&bytes);
    if rest.take::<8>()? != *MAGIC {
        return Err("it is no snapshot".to_owned());
    }
    let format = u16::from_le_bytes(rest.take()?);
    if format != FORMAT {
        return Err(format!(
            "it has format {format}, this server knows {FORMAT}"
        ));
    }
    let version = u32::from_le_bytes(rest.take()?);
    let major = u64::from_le_bytes(rest.take()?);
    let minor = u64::from_le_bytes(rest.take()?);
    let [name_length] = rest.take()?;
    let name = rest.take_slice(usize::from(name_length))?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| "its name is no text".to_owned())?;
    let length = u64::from_le_bytes(rest.take()?);
    if length != rest.0.len() as u64 {
        return Err(format!(
            "its state has {} bytes, not {length}",
            rest.0.len()
        ));
    }
    let start = bytes.len() - rest.0.len();
    bytes.drain(..start);
    Ok(ProjectionSnapshot {
        name,
        version,
        position: Position::new(major, minor),
        bytes,
    })
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it is cut short")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn take_slice(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }
}
