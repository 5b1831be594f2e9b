//! The two clusters of a link: connected, told apart, and checked for what verbatim mode needs.

use std::time::Duration;

use thalweg_client::{ClientConfig, ClientError, Cluster, TopicCreation, TopicSelection};
use thalweg_wire::mirror::{FEATURE, LinkId};
use thiserror::Error;

use crate::config::{LinkConfig, Side, derived_link_id};

/// Both clusters of a link.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Where records come from.
    pub source: Cluster,
    /// Where they go.
    pub target: Cluster,
    /// The source's cluster id.
    pub source_cluster_id: String,
    /// The target's cluster id.
    pub target_cluster_id: String,
    /// The link's id.
    pub link: LinkId,
    /// Whether partitions of the source can be sealed: a Thalweg broker that is new enough.
    pub source_seals: bool,
}

/// Why a link cannot begin.
#[derive(Debug, Error)]
pub enum EndsError {
    /// A side does not answer.
    #[error("link '{link}': the {side} cannot be reached: {error}")]
    Unreachable {
        /// The link's name.
        link: String,
        /// `source` or `target`.
        side: &'static str,
        /// What happened.
        error: ClientError,
    },
    /// A cluster does not say who it is.
    #[error(
        "link '{link}': the {side} names no cluster id; a link needs one, so that it never writes to a wrong cluster"
    )]
    Nameless {
        /// The link's name.
        link: String,
        /// `source` or `target`.
        side: &'static str,
    },
    /// Another cluster than the file says.
    #[error(
        "link '{link}': {side}.bootstrap leads to cluster {found}, and {side}.cluster_id is {expected}: one of the two is wrong"
    )]
    WrongCluster {
        /// The link's name.
        link: String,
        /// `source` or `target`.
        side: &'static str,
        /// What the file says.
        expected: String,
        /// What answered.
        found: String,
    },
    /// Both sides are one cluster.
    #[error("link '{link}': source and target are the same cluster ({id}); a mirror needs two")]
    SameCluster {
        /// The link's name.
        link: String,
        /// The cluster.
        id: String,
    },
    /// The target cannot keep a source's offsets.
    #[error(
        "link '{link}': the target at {address} does not announce the feature {FEATURE}, without which it would give \
         records new offsets; mode = \"verbatim\" needs a Thalweg broker with it as the target"
    )]
    NoFeature {
        /// The link's name.
        link: String,
        /// The broker that was asked.
        address: String,
    },
}

/// Connects to both clusters and checks them.
///
/// # Errors
/// [`EndsError`].
pub async fn connect(link: &LinkConfig) -> Result<Ends, EndsError> {
    let (source, source_cluster_id) = reach(link, &link.source, "source").await?;
    let (target, target_cluster_id) = reach(link, &link.target, "target").await?;
    if source_cluster_id == target_cluster_id {
        return Err(EndsError::SameCluster {
            link: link.name.clone(),
            id: source_cluster_id,
        });
    }
    has_feature(link, &target).await?;
    let asked = source
        .any_broker()
        .await
        .map_err(|error| unreachable(link, "source", error))?;
    let id = link
        .id
        .unwrap_or_else(|| derived_link_id(&link.name, &source_cluster_id));
    Ok(Ends {
        source,
        target,
        source_cluster_id,
        target_cluster_id,
        link: id,
        source_seals: asked.speaks_seal(),
    })
}

/// Connects to the target alone, when the source is lost.
///
/// # Errors
/// [`EndsError`].
pub async fn connect_target(link: &LinkConfig) -> Result<Cluster, EndsError> {
    let (target, _) = reach(link, &link.target, "target").await?;
    has_feature(link, &target).await?;
    Ok(target)
}

async fn has_feature(link: &LinkConfig, target: &Cluster) -> Result<(), EndsError> {
    let connection = target
        .any_broker()
        .await
        .map_err(|error| unreachable(link, "target", error))?;
    match connection.speaks_mirror() {
        true => Ok(()),
        false => Err(EndsError::NoFeature {
            link: link.name.clone(),
            address: connection.address().to_owned(),
        }),
    }
}

fn unreachable(link: &LinkConfig, side: &'static str, error: ClientError) -> EndsError {
    EndsError::Unreachable {
        link: link.name.clone(),
        side,
        error,
    }
}

async fn reach(link: &LinkConfig, side: &Side, name: &'static str) -> Result<(Cluster, String), EndsError> {
    let mut config = ClientConfig::new(side.bootstrap.clone());
    config.client_id = format!("thalweg-mirror-{}", link.name);
    // Calls of the link are repeated by its own loops; one call must not block them for long.
    config.operation_timeout = Duration::from_secs(10);
    config.dialer.clone_from(&side.dialer);
    let cluster = Cluster::new(config);
    let metadata = cluster
        .metadata(TopicSelection::None, TopicCreation::Never)
        .await
        .map_err(|error| unreachable(link, name, error))?;
    let found = metadata.cluster_id.ok_or_else(|| EndsError::Nameless {
        link: link.name.clone(),
        side: name,
    })?;
    match &side.cluster_id {
        Some(expected) if *expected != found => Err(EndsError::WrongCluster {
            link: link.name.clone(),
            side: name,
            expected: expected.clone(),
            found,
        }),
        _ => Ok((cluster, found)),
    }
}
