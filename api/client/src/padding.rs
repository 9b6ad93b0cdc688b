//! Padding to the sizes the server takes, so that it learns a bucket and not a length.

use satpost_domain::limits::MESSAGE_SIZE_BUCKETS;

/// The size of the body that carries `bytes`: the smallest bucket that holds them.
#[must_use]
pub fn bucket_for(bytes: usize) -> Option<usize> {
    MESSAGE_SIZE_BUCKETS
        .into_iter()
        .find(|&bucket| bytes <= bucket)
}

/// True when `bytes` is one of the sizes of a body.
#[must_use]
pub fn is_bucket(bytes: usize) -> bool {
    MESSAGE_SIZE_BUCKETS.contains(&bytes)
}

/// Splits `padded` after its first `length` bytes; nothing when the rest is not all zero. A sender
/// that could choose the padding could mark its messages with it.
pub(crate) fn without_padding(padded: &[u8], length: usize) -> Option<&[u8]> {
    let (content, padding) = padded.split_at_checked(length)?;
    padding.iter().all(|&byte| byte == 0).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_smallest_bucket() {
        for (bytes, bucket) in [
            (0, Some(512)),
            (512, Some(512)),
            (513, Some(2_048)),
            (8_193, Some(16_384)),
            (16_384, Some(16_384)),
            (16_385, None),
        ] {
            assert_eq!(bucket_for(bytes), bucket, "{bytes}");
        }
    }

    #[test]
    fn refuses_padding_that_says_something() {
        assert_eq!(without_padding(&[1, 2, 0, 0], 2), Some(&[1, 2][..]));
        assert_eq!(without_padding(&[1, 2, 0, 9], 2), None);
        assert_eq!(without_padding(&[1, 2], 3), None);
    }
}
