//! What a client asks before it begins: which nodes there are, and what they can do.

use std::net::SocketAddr;
use std::sync::Arc;

use satpost_commands::ports::Clock;
use satpost_event_store::LogIdentity;
use tonic::{Request, Response, Status};

use super::render::{structured_uuid, ticks};
use crate::protocol::gossip::gossip_server::Gossip;
use crate::protocol::gossip::member_info::VNodeState;
use crate::protocol::gossip::{ClusterInfo, EndPoint, MemberInfo};
use crate::protocol::server_features::server_features_server::ServerFeatures;
use crate::protocol::server_features::{SupportedMethod, SupportedMethods};

/// The version of EventStoreDB whose protocol this is. Clients read numbers and dots only.
const PROTOCOL_VERSION: &str = "24.10.0";
/// The service of streams, as clients compare it.
const STREAMS: &str = "event_store.client.streams.streams";

/// The only node of the cluster, and its leader.
#[derive(Clone)]
pub(super) struct Node {
    identity: LogIdentity,
    address: SocketAddr,
    clock: Option<Arc<dyn Clock>>,
}

impl Node {
    pub(super) fn new(
        identity: LogIdentity,
        address: SocketAddr,
        clock: Option<Arc<dyn Clock>>,
    ) -> Self {
        Self {
            identity,
            address,
            clock,
        }
    }
}

#[tonic::async_trait]
impl Gossip for Node {
    /// The node is where the client has just reached it, whatever address it listens on.
    async fn read(&self, request: Request<()>) -> Result<Response<ClusterInfo>, Status> {
        let address = request.local_addr().unwrap_or(self.address);
        let now = self.clock.as_ref().map(|clock| clock.now());
        let member = MemberInfo {
            instance_id: Some(structured_uuid(self.identity.0)),
            time_stamp: now.map_or(0, |now| i64::try_from(ticks(now)).unwrap_or(i64::MAX)),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: address.ip().to_string(),
                port: address.port().into(),
            }),
        };
        Ok(Response::new(ClusterInfo {
            members: vec![member],
        }))
    }
}

#[tonic::async_trait]
impl ServerFeatures for Node {
    async fn get_supported_methods(
        &self,
        _request: Request<()>,
    ) -> Result<Response<SupportedMethods>, Status> {
        let method = |service: &str, name: &str, features: &[&str]| SupportedMethod {
            method_name: name.to_owned(),
            service_name: service.to_owned(),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
        };
        Ok(Response::new(SupportedMethods {
            methods: vec![
                method(STREAMS, "read", &["position", "events"]),
                method(STREAMS, "append", &[]),
                method(STREAMS, "batchappend", &["deadline_duration"]),
                method("event_store.client.gossip.gossip", "read", &[]),
            ],
            event_store_server_version: PROTOCOL_VERSION.to_owned(),
        }))
    }
}
