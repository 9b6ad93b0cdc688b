//! What one WebSocket has asked for, and what it was told.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use satpost_api_types::esplora::Block;
use satpost_domain::limits::{ESPLORA_BLOCKS_PER_PAGE, ESPLORA_TRACKED_PER_WEBSOCKET_MAX};
use serde_json::{Map, Value, json};

use super::tracked::Tracked;
use crate::esplora::call::parse_address;
use crate::esplora::error::EsploraError;
use crate::esplora::ports::QueryError;
use crate::esplora::shapes;
use crate::esplora::state::EsploraState;

type Members = Map<String, Value>;

pub(super) struct Subscriptions<'a> {
    state: &'a EsploraState,
    wants_blocks: bool,
    tip: Option<BlockHash>,
    /// One address, answered in its own members.
    single: Option<Tracked>,
    /// Many, answered in one member by address.
    many: Vec<Tracked>,
}

impl<'a> Subscriptions<'a> {
    pub(super) const fn new(state: &'a EsploraState) -> Self {
        Self {
            state,
            wants_blocks: false,
            tip: None,
            single: None,
            many: Vec::new(),
        }
    }

    /// True when a change may have to be told.
    pub(super) const fn any(&self) -> bool {
        self.wants_blocks || self.single.is_some() || !self.many.is_empty()
    }

    /// Takes a message and gives the answer; what nobody knows here is passed over, as by the
    /// servers whose protocol this is.
    pub(super) async fn hear(&mut self, text: &str) -> Members {
        let mut answer = Members::new();
        let Ok(Value::Object(message)) = serde_json::from_str(text) else {
            answer.insert("error".to_owned(), json!("a message is a JSON object"));
            return answer;
        };
        match message.get("action").and_then(Value::as_str) {
            Some("ping") => {
                answer.insert("pong".to_owned(), json!(true));
            }
            Some("init") => self.tell_blocks(&mut answer).await,
            Some("want") => {
                let wanted = message.get("data").and_then(Value::as_array);
                self.wants_blocks =
                    wanted.is_some_and(|wanted| wanted.iter().any(|what| what == "blocks"));
                if self.wants_blocks {
                    self.tell_blocks(&mut answer).await;
                }
            }
            _ => {}
        }
        if let Some(wanted) = message.get("track-address") {
            self.track_one(wanted, &mut answer).await;
        }
        if let Some(wanted) = message.get("track-addresses") {
            self.track_many(wanted, &mut answer).await;
        }
        answer
    }

    /// What has changed since it was told last.
    pub(super) async fn differences(&mut self) -> Members {
        let mut members = Members::new();
        let chain = self.state.chain.as_ref();
        if self.wants_blocks
            && let Err(error) = self.tell_new_blocks(&mut members).await
        {
            postpone(&error);
        }
        if let Some(tracked) = &mut self.single {
            match tracked.difference(chain, self.state.config.network).await {
                Ok(difference) => difference.into_members(&mut members),
                Err(error) => postpone(&error),
            }
        }
        let mut by_address = Members::new();
        for tracked in &mut self.many {
            match tracked.difference(chain, self.state.config.network).await {
                Ok(difference) if difference.is_empty() => {}
                Ok(difference) => {
                    by_address.insert(tracked.label.clone(), difference.into_object());
                }
                Err(error) => postpone(&error),
            }
        }
        if !by_address.is_empty() {
            let name = "multi-address-transactions".to_owned();
            members.insert(name, Value::Object(by_address));
        }
        members
    }

    async fn tell_blocks(&mut self, answer: &mut Members) {
        match self.blocks_down_to(None).await {
            Ok(blocks) => {
                answer.insert("blocks".to_owned(), json!(blocks));
            }
            Err(error) => {
                let text = EsploraError::from(error).text;
                answer.insert("blocks-error".to_owned(), json!(text));
            }
        }
    }

    /// One message has room for one block, so the newest is told, and the ones below it with it
    /// when there are several.
    async fn tell_new_blocks(&mut self, members: &mut Members) -> Result<(), QueryError> {
        let known = self.tip;
        let tip = self.state.chain.tip().await?.hash;
        if Some(tip) == known {
            return Ok(());
        }
        let new = self.blocks_down_to(known).await?;
        if let Some(newest) = new.last() {
            members.insert("block".to_owned(), json!(newest));
        }
        if new.len() > 1 {
            members.insert("blocks".to_owned(), json!(new));
        }
        Ok(())
    }

    /// The newest blocks, oldest first, above the one that is known.
    async fn blocks_down_to(&mut self, known: Option<BlockHash>) -> Result<Vec<Block>, QueryError> {
        let chain = self.state.chain.as_ref();
        let tip = chain.tip().await?.hash;
        let mut blocks = Vec::new();
        let mut next = tip;
        while blocks.len() < ESPLORA_BLOCKS_PER_PAGE
            && next.to_byte_array() != [0; 32]
            && Some(next) != known
        {
            let Some(block) = chain.block(next).await? else {
                break;
            };
            next = block.header.prev_blockhash;
            blocks.push(shapes::block(&block));
        }
        blocks.reverse();
        self.tip = Some(tip);
        Ok(blocks)
    }

    async fn track_one(&mut self, wanted: &Value, answer: &mut Members) {
        self.single = None;
        // "stop" and null end it.
        let Some(address) = wanted.as_str().filter(|text| *text != "stop") else {
            return;
        };
        match self.tracked(address).await {
            Ok(tracked) => self.single = Some(tracked),
            Err(error) => {
                answer.insert("track-address-error".to_owned(), json!(error.text));
            }
        }
    }

    async fn track_many(&mut self, wanted: &Value, answer: &mut Members) {
        self.many.clear();
        let wanted = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
        let name = "track-addresses-error";
        if wanted.len() > ESPLORA_TRACKED_PER_WEBSOCKET_MAX {
            let text = format!(
                "too many addresses, a connection tracks at most {ESPLORA_TRACKED_PER_WEBSOCKET_MAX}"
            );
            answer.insert(name.to_owned(), json!(text));
            return;
        }
        for address in wanted {
            match self.tracked(address.as_str().unwrap_or_default()).await {
                Ok(tracked) => self.many.push(tracked),
                Err(error) => {
                    self.many.clear();
                    answer.insert(name.to_owned(), json!(error.text));
                    return;
                }
            }
        }
    }

    async fn tracked(&self, address: &str) -> Result<Tracked, EsploraError> {
        let config = &self.state.config;
        let script = parse_address(address, config.network)?;
        let mut tracked = Tracked::new(address.to_owned(), script);
        // What is so at the beginning can be asked for; only what comes is told.
        tracked
            .difference(self.state.chain.as_ref(), config.network)
            .await?;
        Ok(tracked)
    }
}

/// What could not be asked now is asked again at the next change.
fn postpone(error: &QueryError) {
    tracing::debug!(%error, "a WebSocket is told later");
}
