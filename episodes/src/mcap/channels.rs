//! The channels of a file: each is there from its first message on.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use ::mcap::McapError;
use ::mcap::records::MessageHeader;
use serde::Serialize;

use super::schemas::{
    CHUNK, COMPRESSED_IMAGE, CYCLE, JOINT_STATE, LOG, MESSAGE_ENCODING, SCHEMA_ENCODING, Schema,
};
use crate::journal::Header;

/// What a channel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Measured,
    Requested,
    Generated,
    Limited,
    /// Sensors beside the joints, in the form that viewers draw named series from.
    Sensors,
    Cycle,
    Chunks,
    Events,
    /// A camera, by its index in the header.
    Camera(u32),
}

impl Topic {
    fn name(self, header: &Header) -> String {
        let fixed = match self {
            // The name under which robot models look for it.
            Self::Measured => "/joint_states",
            Self::Requested => "/joint_commands/requested",
            Self::Generated => "/joint_commands/generated",
            Self::Limited => "/joint_commands/limited",
            Self::Sensors => "/sensors",
            Self::Cycle => "/cycle",
            Self::Chunks => "/policy/chunks",
            Self::Events => "/events",
            Self::Camera(index) => {
                return match header.cameras.get(index as usize) {
                    Some(camera) => format!("/cameras/{}/compressed", camera.name),
                    None => format!("/cameras/{index}/compressed"),
                };
            }
        };
        fixed.to_owned()
    }

    const fn schema(self) -> Schema {
        match self {
            Self::Measured | Self::Requested | Self::Generated | Self::Limited | Self::Sensors => {
                JOINT_STATE
            }
            Self::Cycle => CYCLE,
            Self::Chunks => CHUNK,
            Self::Events => LOG,
            Self::Camera(_) => COMPRESSED_IMAGE,
        }
    }

    /// What a viewer cannot know from the messages.
    fn metadata(self, header: &Header) -> BTreeMap<String, String> {
        // MCAP's ros2 profile wants this key; empty means the defaults.
        let mut metadata = BTreeMap::from([("offered_qos_profiles".to_owned(), String::new())]);
        let names = || header.joints.iter().map(|joint| joint.name.as_str()).collect::<Vec<_>>();
        let units = || header.joints.iter().map(|joint| joint.unit.as_str()).collect::<Vec<_>>();
        match self {
            Self::Measured | Self::Requested | Self::Generated | Self::Limited => {
                metadata.insert("units".to_owned(), units().join(","));
            }
            Self::Sensors => {
                let units: Vec<&str> = header.sensors.iter().map(|it| it.unit.as_str()).collect();
                metadata.insert("units".to_owned(), units.join(","));
            }
            Self::Cycle => {
                metadata.insert("joints".to_owned(), names().join(","));
            }
            Self::Chunks | Self::Events | Self::Camera(_) => {}
        }
        metadata
    }
}

/// One channel of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelSummary {
    /// Topic.
    pub topic: String,
    /// Message type.
    pub schema: &'static str,
    /// Messages.
    pub messages: u64,
}

struct Channel {
    id: u16,
    summary: ChannelSummary,
}

/// Times of a message, in ns since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Where it stands on a viewer's time axis.
    pub log: u64,
    /// When what it says was so.
    pub publish: u64,
}

impl Times {
    pub fn at(time: u64) -> Self {
        Self { log: time, publish: time }
    }
}

#[derive(Default)]
pub(super) struct Channels {
    channels: BTreeMap<Topic, Channel>,
}

impl Channels {
    /// Writes a message, and before the first of a topic its channel. `sequence` is the source's
    /// own count, or the channel's.
    pub fn write<W: Write + Seek>(
        &mut self,
        writer: &mut ::mcap::Writer<W>,
        header: &Header,
        topic: Topic,
        times: Times,
        sequence: Option<u64>,
        message: &[u8],
    ) -> Result<(), McapError> {
        let channel = match self.channels.entry(topic) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let schema = topic.schema();
                let (name, metadata) = (topic.name(header), topic.metadata(header));
                let text = schema.text.as_bytes();
                let schema_id = writer.add_schema(schema.name, SCHEMA_ENCODING, text)?;
                let id = writer.add_channel(schema_id, &name, MESSAGE_ENCODING, &metadata)?;
                let summary = ChannelSummary { topic: name, schema: schema.name, messages: 0 };
                entry.insert(Channel { id, summary })
            }
        };
        let header = MessageHeader {
            channel_id: channel.id,
            // Counters wrap, as ROS's own do.
            sequence: sequence.unwrap_or(channel.summary.messages) as u32,
            log_time: times.log,
            publish_time: times.publish,
        };
        channel.summary.messages += 1;
        writer.write_to_known_channel(&header, message)
    }

    /// All channels, sorted by what they are about.
    pub fn summary(self) -> Vec<ChannelSummary> {
        self.channels.into_values().map(|channel| channel.summary).collect()
    }
}
