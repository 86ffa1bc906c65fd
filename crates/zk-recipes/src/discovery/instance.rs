//! What is registered.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;
use zk_client::Guid;

use super::service_type::ServiceType;
use super::uri_spec::UriSpec;

/// An instance of a service, with a payload of the program's own type.
///
/// ```
/// use zk_recipes::ServiceInstance;
///
/// let instance = ServiceInstance::new("search", "10.0.0.7").port(9200).payload("zone-a");
/// assert!(instance.enabled && instance.id.len() == 36);
/// ```
///
/// # Data
///
/// JSON with the fields and the order of Curator's x-discovery. `enabled` is written only if it is false
/// or was in the data: Curator omits it unless `compatibleSerializationMode` is switched off, and
/// then takes every instance for enabled. Fields that this version does not know are kept, and are
/// written back by an [update](crate::Registration::update).
///
/// Curator adds the name of the Java class to a payload that is an object, as `@class`, and wraps a list
/// in `["java.util.ArrayList",[…]]`. The class is kept in [`payload_class`](Self::payload_class), and
/// a payload that has one is written with it; a Java program whose payload is of a class of its own
/// cannot read payloads without it. A payload of an `enum` with `#[serde(tag = "@class")]` has it as
/// the name of its variant.
#[doc(alias = "ServiceInstanceBuilder")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceInstance<P> {
    /// The service.
    pub name: String,
    /// The id, of which each service has one instance, unless they are
    /// [sequential](ServiceType::DynamicSequential). A random UUID unless given.
    pub id: String,
    /// A host name or an IP address; `None` if the data have none.
    pub address: Option<String>,
    /// The port, 0 to 65,535. Curator does not check the number, so that all numbers of Java's `int` are read.
    pub port: Option<i32>,
    /// The port for TLS, with the range of [`port`](Self::port).
    pub ssl_port: Option<i32>,
    /// What the program adds.
    pub payload: Option<P>,
    /// The Java class of the payload.
    pub payload_class: Option<String>,
    /// When the instance was made, in milliseconds since 1970.
    pub registration_time_utc: i64,
    /// How long the znode exists.
    pub service_type: ServiceType,
    /// The pattern of its URI.
    pub uri_spec: Option<UriSpec>,
    /// Whether the instance is to be used. [`ServiceProvider`](crate::ServiceProvider) passes over
    /// instances that are not.
    pub enabled: bool,
    pub(super) unknown: UnknownFields,
}

/// What the data contain besides the fields of [`ServiceInstance`].
#[derive(Debug, Clone, Default)]
pub(super) struct UnknownFields {
    /// Whether `enabled` is written although it is true.
    pub(super) writes_enabled: bool,
    /// In the order of the data.
    pub(super) fields: Vec<(String, Box<RawValue>)>,
}

/// One run of one instance: the same after an update, and another after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct InstanceKey {
    name: String,
    id: String,
    address: Option<String>,
    ports: (Option<i32>, Option<i32>),
    registered: i64,
}

impl<P> ServiceInstance<P> {
    /// An instance of a service at an address, with a random id, that is registered for as long as the
    /// session lives.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = now.unwrap_or_default().as_millis();
        ServiceInstance {
            name: name.into(),
            id: Guid::random().to_string(),
            address: Some(address.into()),
            port: None,
            ssl_port: None,
            payload: None,
            payload_class: None,
            registration_time_utc: i64::try_from(milliseconds).unwrap_or(i64::MAX),
            service_type: ServiceType::default(),
            uri_spec: None,
            enabled: true,
            unknown: UnknownFields::default(),
        }
    }

    /// Replaces the id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Replaces the port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port.into());
        self
    }

    /// Replaces the port for TLS.
    pub fn ssl_port(mut self, port: u16) -> Self {
        self.ssl_port = Some(port.into());
        self
    }

    /// Replaces the payload.
    pub fn payload(mut self, payload: P) -> Self {
        self.payload = Some(payload);
        self
    }

    /// The Java class of the payload, for Java programs whose payloads are of a class of their own.
    pub fn payload_class(mut self, class: impl Into<String>) -> Self {
        self.payload_class = Some(class.into());
        self
    }

    /// Replaces the type.
    pub fn service_type(mut self, service_type: ServiceType) -> Self {
        self.service_type = service_type;
        self
    }

    /// Replaces the pattern of the URI.
    pub fn uri_spec(mut self, spec: UriSpec) -> Self {
        self.uri_spec = Some(spec);
        self
    }

    /// Whether the instance is to be used.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The URI; `None` if the instance has no pattern of one.
    pub fn uri(&self) -> Option<String> {
        self.uri_with(|_| None)
    }

    /// The URI, with the values of `further` for its variables, which take precedence over those of the
    /// instance; `None` if the instance has no pattern of one.
    pub fn uri_with(&self, further: impl Fn(&str) -> Option<String>) -> Option<String> {
        let spec = self.uri_spec.as_ref()?;
        Some(spec.build(|name| further(name).or_else(|| self.variable(name))))
    }

    /// The value of a variable of a URI.
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "scheme" if self.ssl_port.is_some() => Some("https".to_owned()),
            "scheme" => Some("http".to_owned()),
            "name" => Some(self.name.clone()),
            "id" => Some(self.id.clone()),
            "address" => self.address.clone(),
            "port" => self.port.map(|port| port.to_string()),
            "ssl-port" => self.ssl_port.map(|port| port.to_string()),
            "registration-time-utc" => Some(self.registration_time_utc.to_string()),
            "service-type" => Some(self.service_type.in_uri().to_owned()),
            "[" => Some("{".to_owned()),
            "]" => Some("}".to_owned()),
            _ => None,
        }
    }

    pub(super) fn key(&self) -> InstanceKey {
        InstanceKey {
            name: self.name.clone(),
            id: self.id.clone(),
            address: self.address.clone(),
            ports: (self.port, self.ssl_port),
            registered: self.registration_time_utc,
        }
    }

    /// The same without a payload.
    pub(super) fn without_payload(&self) -> ServiceInstance<()> {
        ServiceInstance {
            name: self.name.clone(),
            id: self.id.clone(),
            address: self.address.clone(),
            port: self.port,
            ssl_port: self.ssl_port,
            payload: None,
            payload_class: None,
            registration_time_utc: self.registration_time_utc,
            service_type: self.service_type,
            uri_spec: self.uri_spec.clone(),
            enabled: self.enabled,
            unknown: UnknownFields::default(),
        }
    }

    /// Whether another instance is at the same endpoint: of two programs, at most one can listen there.
    pub(super) fn is_at_endpoint_of<Q>(&self, other: &ServiceInstance<Q>) -> bool {
        let has_port = self.port.is_some() || self.ssl_port.is_some();
        let same_place = self.address.is_some() && self.address == other.address;
        let same_ports = (self.port, self.ssl_port) == (other.port, other.ssl_port);
        let same_id = (&self.name, &self.id) == (&other.name, &other.id);
        has_port && same_place && same_ports && same_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_with_a_port() {
        let at = |address: &str, port| {
            ServiceInstance::<()>::new("search", address)
                .id("7")
                .port(port)
        };
        assert!(at("h", 1).is_at_endpoint_of(&at("h", 1).payload(())));
        assert!(!at("h", 1).is_at_endpoint_of(&at("h", 2)));
        assert!(!at("h", 1).is_at_endpoint_of(&at("i", 1)));
        assert!(!at("h", 1).is_at_endpoint_of(&at("h", 1).id("8")));
        let without = ServiceInstance::<()>::new("search", "h").id("7");
        assert!(!without.is_at_endpoint_of(&without.clone()));
    }

    /// The results are those of Curator 5.4.
    #[test]
    fn uris_are_those_of_curator() {
        let instance = || ServiceInstance::<()>::new("search", "h").id("7").port(80);
        let build = |pattern: &str, instance: &ServiceInstance<()>| {
            let spec = UriSpec::parse(pattern).unwrap();
            instance.clone().uri_spec(spec).uri().unwrap()
        };
        let plain = instance();
        assert_eq!(plain.uri(), None);
        assert_eq!(build("{scheme}://{address}:{port}", &plain), "http://h:80");
        let secure = instance().ssl_port(443);
        assert_eq!(
            build("{scheme}://{address}:{ssl-port}/{name}/{id}", &secure),
            "https://h:443/search/7"
        );
        assert_eq!(build("x{ a }y", &plain), "xy");
        assert_eq!(build("{}", &plain), "");
        assert_eq!(build("{[}{ssl-port}{]}", &plain), "{}");
        let mut sequential = instance().service_type(ServiceType::DynamicSequential);
        sequential.registration_time_utc = 5;
        assert_eq!(
            build("{registration-time-utc} {service-type}", &sequential),
            "5 dynamic_sequential"
        );
        let further = |name: &str| (name == "a").then(|| "v".to_owned());
        let spec = UriSpec::parse("x{ a }y").unwrap();
        let with = plain.uri_spec(spec).uri_with(further);
        assert_eq!(with.as_deref(), Some("xvy"));
    }
}
