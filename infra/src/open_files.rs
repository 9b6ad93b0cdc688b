//! How many files the process may hold open. Each file of the log and of the payloads is one, and
//! the usual 1,024 are enough for some 60 GB of events only.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Servers may do that: what the low soft limit protects are
/// programs that call `select`.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(
            process.open_files_max = limit.maximum,
            process.open_files_max_before = limit.current,
            "raised the number of files that may be open"
        ),
        Err(error) => tracing::warn!(
            process.open_files_max = limit.current,
            %error,
            "cannot raise the number of files that may be open; a large log needs more"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_hard_limit_lets() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
