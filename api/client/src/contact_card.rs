//! Contact cards: what one person gives to another so that they can write and pay.
//!
//! `satpost1:` and the base32 (RFC 4648, no padding) of
//! `messaging key (32) ‖ len ‖ name ‖ len ‖ payment address ‖ len ‖ server URL ‖ len ‖ delivery token ‖ signature (64)`,
//! with lengths of one byte and 0 for "none". The token has 32 bytes or none, and is good once: it lets
//! the holder of the card write first without work. The signature is the messaging key's over
//! `"satpost/contact-card/1\0" ‖ everything before it`. Base32 survives being read aloud, retyped and
//! upper-cased, and upper case makes a smaller QR code than base64 (alphanumeric mode); the
//! signature doubles as the checksum.

use std::fmt;
use std::str::FromStr;

use bitcoin::address::NetworkUnchecked;
use data_encoding::BASE32_NOPAD;
use satpost_domain::MessagingKey;

use crate::keys::{MessagingSecret, RequestKey as _};
use crate::token::TokenSecret;

/// What every card begins with; the digit is the version.
pub const PREFIX: &str = "satpost1:";
/// The longest display name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest payment address, in bytes (bech32 ends at 90 characters).
pub const ADDRESS_BYTES_MAX: usize = 90;
/// The longest server URL, in bytes (an .onion URL has 69).
pub const SERVER_BYTES_MAX: usize = 200;

const SIGNATURE_CONTEXT: &[u8] = b"satpost/contact-card/1\0";
/// The length of a token that is there.
const TOKEN_BYTES: u8 = 32;

/// A card whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactCard {
    messaging_key: MessagingKey,
    name: String,
    payment_address: Option<String>,
    server: Option<String>,
    token: Option<TokenSecret>,
    signature: [u8; 64],
}

/// What a card says beside its owner's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CardFields<'a> {
    /// What its owner is called: 1 to 64 bytes.
    pub name: &'a str,
    /// Where its owner wants to be paid.
    pub payment_address: Option<&'a str>,
    /// The server that keeps its owner's messages.
    pub server: Option<&'a str>,
    /// Lets its holder write once without work; none on a card for everybody.
    pub token: Option<&'a TokenSecret>,
}

/// Text or values that make no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// It begins with something else, or with a later version.
    #[error("a contact card begins with {PREFIX}")]
    Prefix,
    /// A character is outside the alphabet, or the text was cut.
    #[error("the contact card is not base32; was all of it copied?")]
    Encoding,
    /// A field is too long, too short, or not what it should be.
    #[error("the contact card's {field} is not valid")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// Mistyped or forged.
    #[error("the signature of the contact card does not verify; was all of it copied?")]
    Signature,
}

impl ContactCard {
    /// Makes and signs a card.
    ///
    /// # Errors
    /// [`CardError::Field`].
    pub fn sign(key: &MessagingSecret, fields: CardFields<'_>) -> Result<Self, CardError> {
        let mut card = Self {
            messaging_key: key.public(),
            name: fields.name.to_owned(),
            payment_address: fields.payment_address.map(str::to_owned),
            server: fields.server.map(str::to_owned),
            token: fields.token.cloned(),
            signature: [0; 64],
        };
        card.check_fields()?;
        card.signature = key.sign(&card.signed_bytes());
        Ok(card)
    }

    /// Where its owner takes messages.
    #[must_use]
    pub const fn messaging_key(&self) -> MessagingKey {
        self.messaging_key
    }

    /// What its owner is called, by itself. Never proof of anything.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its owner wants to be paid.
    #[must_use]
    pub fn payment_address(&self) -> Option<&str> {
        self.payment_address.as_deref()
    }

    /// The server that keeps its owner's messages.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Lets the holder of the card write once without work.
    #[must_use]
    pub const fn token(&self) -> Option<&TokenSecret> {
        self.token.as_ref()
    }

    fn check_fields(&self) -> Result<(), CardError> {
        let text = |text: &str, max: usize| !text.is_empty() && text.len() <= max;
        if !text(&self.name, NAME_BYTES_MAX)
            || self.name.trim() != self.name
            || self.name.chars().any(hides)
        {
            return Err(CardError::Field { field: "name" });
        }
        if let Some(address) = &self.payment_address {
            let parsed: Result<bitcoin::Address<NetworkUnchecked>, _> = address.parse();
            if !text(address, ADDRESS_BYTES_MAX) || parsed.is_err() {
                return Err(CardError::Field {
                    field: "payment address",
                });
            }
        }
        if let Some(server) = &self.server
            && (!text(server, SERVER_BYTES_MAX) || crate::base_url::parse(server).is_err())
        {
            return Err(CardError::Field { field: "server" });
        }
        Ok(())
    }

    fn fields(&self) -> Vec<u8> {
        let mut bytes = self.messaging_key.as_bytes().to_vec();
        let texts = [
            self.name.as_str(),
            self.payment_address.as_deref().unwrap_or_default(),
            self.server.as_deref().unwrap_or_default(),
        ];
        for text in texts {
            bytes.push(u8::try_from(text.len()).expect("checked fields have at most 200 bytes"));
            bytes.extend_from_slice(text.as_bytes());
        }
        match &self.token {
            None => bytes.push(0),
            Some(token) => {
                bytes.push(TOKEN_BYTES);
                bytes.extend_from_slice(&TokenSecret::to_field(Some(token)));
            }
        }
        bytes
    }

    fn signed_bytes(&self) -> Vec<u8> {
        [SIGNATURE_CONTEXT, &self.fields()].concat()
    }
}

/// Characters that change how other characters look: control characters, and the marks that turn
/// the direction of text or have no width (Unicode categories Cc and, in part, Cf).
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for ContactCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.fields(), self.signature.to_vec()].concat();
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase())
    }
}

impl FromStr for ContactCard {
    type Err = CardError;

    /// Takes a card in all lower or all upper case, with white space around it.
    fn from_str(text: &str) -> Result<Self, CardError> {
        let text = text.trim();
        if text.chars().any(|c| c.is_ascii_lowercase())
            && text.chars().any(|c| c.is_ascii_uppercase())
        {
            return Err(CardError::Encoding);
        }
        let upper = text.to_ascii_uppercase();
        let encoded = upper
            .strip_prefix(&PREFIX.to_ascii_uppercase())
            .ok_or(CardError::Prefix)?;
        let bytes = BASE32_NOPAD
            .decode(encoded.as_bytes())
            .map_err(|_| CardError::Encoding)?;

        let mut fields = Fields(&bytes);
        let key = fields.take("messaging key")?;
        let messaging_key = MessagingKey::new(key).map_err(|_| CardError::Field {
            field: "messaging key",
        })?;
        let name = fields.text("name")?;
        let payment_address = fields.text("payment address")?;
        let server = fields.text("server")?;
        let token = fields.token()?;
        let signature = fields.take("signature")?;
        if !fields.0.is_empty() {
            return Err(CardError::Field { field: "end" });
        }
        let card = Self {
            messaging_key,
            name,
            payment_address: Some(payment_address).filter(|text| !text.is_empty()),
            server: Some(server).filter(|text| !text.is_empty()),
            token,
            signature,
        };
        messaging_key
            .verify(&card.signed_bytes(), &card.signature)
            .map_err(|_| CardError::Signature)?;
        card.check_fields()?;
        Ok(card)
    }
}

/// Takes fields from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CardError> {
        let (bytes, rest) = self
            .0
            .split_first_chunk()
            .ok_or(CardError::Field { field })?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// None is written in one way only: by its length.
    fn token(&mut self) -> Result<Option<TokenSecret>, CardError> {
        let field = "delivery token";
        match self.take(field)? {
            [0] => Ok(None),
            [TOKEN_BYTES] => TokenSecret::from_field(self.take(field)?)
                .map(Some)
                .ok_or(CardError::Field { field }),
            [_] => Err(CardError::Field { field }),
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, CardError> {
        let [length] = self.take(field)?;
        let (bytes, rest) = self
            .0
            .split_at_checked(usize::from(length))
            .ok_or(CardError::Field { field })?;
        self.0 = rest;
        String::from_utf8(bytes.to_vec()).map_err(|_| CardError::Field { field })
    }
}

#[cfg(test)]
mod tests;
