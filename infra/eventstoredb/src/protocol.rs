//! The messages and services of EventStoreDB, generated from `proto/` in the shape of its packages.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::nursery,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]

pub(crate) mod event_store {
    pub(crate) mod client {
        tonic::include_proto!("event_store.client");

        pub(crate) mod streams {
            tonic::include_proto!("event_store.client.streams");
        }

        pub(crate) mod gossip {
            tonic::include_proto!("event_store.client.gossip");
        }

        pub(crate) mod server_features {
            tonic::include_proto!("event_store.client.server_features");
        }
    }
}

pub(crate) mod google {
    pub(crate) mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

pub(crate) use event_store::client as shared;
pub(crate) use event_store::client::{gossip, server_features, streams};
pub(crate) use google::rpc;
