//! Instances as JSON, in the form of Curator's x-discovery.

use std::fmt;
use std::io;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::ser::{self, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use serde_json::value::RawValue;
use serde_json::{Error, Value};

use super::instance::{ServiceInstance, UnknownFields};

/// The data of an instance's znode.
pub(super) fn encode<P: Serialize>(instance: &ServiceInstance<P>) -> Result<Vec<u8>, Error> {
    let payload = match &instance.payload {
        None => RawValue::from_string("null".to_owned())?,
        Some(payload) => {
            let payload = RawValue::from_string(text(payload)?)?;
            with_class(payload, instance.payload_class.as_deref())?
        }
    };
    Ok(text(&Record { instance, payload })?.into_bytes())
}

/// The instance in the data of a znode.
pub(super) fn decode<P: DeserializeOwned>(data: &[u8]) -> Result<ServiceInstance<P>, Error> {
    let Decoded { mut bare, payload } = serde_json::from_slice(data)?;
    let payload = match payload {
        Some(raw) if raw.get() != "null" => {
            bare.payload_class = class_of(&raw);
            Some(payload_of(&raw, bare.payload_class.is_some())?)
        }
        _ => None,
    };
    Ok(ServiceInstance {
        name: bare.name,
        id: bare.id,
        address: bare.address,
        port: bare.port,
        ssl_port: bare.ssl_port,
        payload,
        payload_class: bare.payload_class,
        registration_time_utc: bare.registration_time_utc,
        service_type: bare.service_type,
        uri_spec: bare.uri_spec,
        enabled: bare.enabled,
        unknown: bare.unknown,
    })
}

/// Escapes control characters with capital digits, as Java programs do.
struct Jackson;

impl Formatter for Jackson {
    fn write_char_escape<W>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            escape => CompactFormatter.write_char_escape(writer, escape),
        }
    }
}

pub(super) fn text<T: Serialize>(value: &T) -> Result<String, Error> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, Jackson,
    ))?;
    String::from_utf8(text).map_err(ser::Error::custom)
}

const CLASS: &str = "@class";

/// A payload with the name of its class, unless it has one. Numbers, texts and booleans have none.
fn with_class(payload: Box<RawValue>, class: Option<&str>) -> Result<Box<RawValue>, Error> {
    let (Some(class), None) = (class, class_of(&payload)) else {
        return Ok(payload);
    };
    let with_class = match payload.get().split_at_checked(1) {
        Some(("{", rest)) => {
            let comma = if rest == "}" { "" } else { "," };
            format!("{{{}:{}{comma}{rest}", text(&CLASS)?, text(&class)?)
        }
        Some(("[", _)) => format!("[{},{}]", text(&class)?, payload.get()),
        _ => return Ok(payload),
    };
    RawValue::from_string(with_class)
}

/// The class of a payload: `{"@class":"C",…}` or `["C",…]` with a name that contains a dot.
fn class_of(payload: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Classed {
        #[serde(rename = "@class")]
        class: Option<String>,
    }
    let raw = payload.get();
    if raw.starts_with('{') {
        return serde_json::from_str::<Classed>(raw).ok()?.class;
    }
    let wrapped = serde_json::from_str::<(String, IgnoredAny)>(raw);
    wrapped
        .ok()
        .map(|(class, _)| class)
        .filter(|class| class.contains('.'))
}

/// A payload without the name of its class, if it can be read only so.
fn payload_of<P: DeserializeOwned>(raw: &RawValue, has_class: bool) -> Result<P, Error> {
    let error = match serde_json::from_str(raw.get()) {
        Ok(payload) => return Ok(payload),
        Err(error) if !has_class => return Err(error),
        Err(error) => error,
    };
    let bare = match serde_json::from_str(raw.get())? {
        Value::Object(mut fields) => {
            fields.remove(CLASS);
            Value::Object(fields)
        }
        Value::Array(mut wrapped) => wrapped.pop().unwrap_or_default(),
        other => other,
    };
    serde_json::from_value(bare).map_err(|_| error)
}

struct Record<'a, P> {
    instance: &'a ServiceInstance<P>,
    payload: Box<RawValue>,
}

impl<P> Serialize for Record<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instance = self.instance;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &instance.name)?;
        map.serialize_entry("id", &instance.id)?;
        map.serialize_entry("address", &instance.address)?;
        map.serialize_entry("port", &instance.port)?;
        map.serialize_entry("sslPort", &instance.ssl_port)?;
        map.serialize_entry("payload", &self.payload)?;
        map.serialize_entry("registrationTimeUTC", &instance.registration_time_utc)?;
        map.serialize_entry("serviceType", &instance.service_type)?;
        map.serialize_entry("uriSpec", &instance.uri_spec)?;
        if !instance.enabled || instance.unknown.writes_enabled {
            map.serialize_entry("enabled", &instance.enabled)?;
        }
        for (name, value) in &instance.unknown.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// An instance, and its payload as it is in the data.
struct Decoded {
    bare: ServiceInstance<IgnoredAny>,
    payload: Option<Box<RawValue>>,
}

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service instance")
    }

    /// A field that is missing or null has the value that Curator gives it.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Decoded, A::Error> {
        let mut bare = ServiceInstance {
            name: String::new(),
            id: String::new(),
            address: None,
            port: None,
            ssl_port: None,
            payload: None,
            payload_class: None,
            registration_time_utc: 0,
            service_type: Default::default(),
            uri_spec: None,
            enabled: true,
            unknown: UnknownFields::default(),
        };
        let mut payload = None;
        while let Some(field) = map.next_key::<String>()? {
            match &*field {
                "name" => bare.name = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "id" => bare.id = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "address" => bare.address = map.next_value()?,
                "port" => bare.port = map.next_value()?,
                "sslPort" => bare.ssl_port = map.next_value()?,
                "payload" => payload = Some(map.next_value()?),
                "registrationTimeUTC" => {
                    bare.registration_time_utc = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                "serviceType" => {
                    bare.service_type = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                "uriSpec" => bare.uri_spec = map.next_value()?,
                "enabled" => {
                    bare.enabled = map.next_value::<Option<_>>()?.unwrap_or(true);
                    bare.unknown.writes_enabled = true;
                }
                _ => {
                    let value: Box<RawValue> = map.next_value()?;
                    bare.unknown.fields.push((field, value));
                }
            }
        }
        Ok(Decoded { bare, payload })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{ServiceType, UriSpec};
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        zone: String,
        weight: i32,
    }

    fn strict() -> Strict {
        Strict {
            zone: "a".to_owned(),
            weight: 3,
        }
    }

    fn instance<P>() -> ServiceInstance<P> {
        let mut instance = ServiceInstance::new("n", "h").id("i");
        instance.registration_time_utc = 5;
        instance
    }

    fn written<P: Serialize>(instance: &ServiceInstance<P>) -> String {
        String::from_utf8(encode(instance).unwrap()).unwrap()
    }

    /// What Curator 5.4 writes for the same instances.
    #[test]
    fn the_json_is_that_of_curator() {
        assert_eq!(
            written(&instance::<()>()),
            r#"{"name":"n","id":"i","address":"h","port":null,"sslPort":null,"payload":null,"registrationTimeUTC":5,"serviceType":"DYNAMIC","uriSpec":null}"#
        );
        let mut full = instance().port(1).ssl_port(2).payload("pay");
        full.name = "né/\"\u{1f}\n".to_owned();
        full.service_type = ServiceType::Static;
        full.uri_spec = Some(UriSpec::parse("{scheme}://{ address }").unwrap());
        assert_eq!(
            written(&full.enabled(false)),
            r#"{"name":"né/\"\u001F\n","id":"i","address":"h","port":1,"sslPort":2,"payload":"pay","registrationTimeUTC":5,"serviceType":"STATIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},{"value":"address","variable":true}]},"enabled":false}"#
        );
        let payload = |text: String| {
            let from = text.find(r#""payload":"#).unwrap() + 10;
            text[from..text.find(r#","registration"#).unwrap()].to_owned()
        };
        let classed = instance().payload(strict()).payload_class("com.acme.Pay");
        assert_eq!(
            payload(written(&classed)),
            r#"{"@class":"com.acme.Pay","zone":"a","weight":3}"#
        );
        let list = instance()
            .payload(vec![1, 2])
            .payload_class("java.util.ArrayList");
        assert_eq!(payload(written(&list)), r#"["java.util.ArrayList",[1,2]]"#);
        let none = BTreeMap::<String, i32>::new();
        let empty = instance().payload(none).payload_class("a.B");
        assert_eq!(payload(written(&empty)), r#"{"@class":"a.B"}"#);
        let number = instance().payload(7).payload_class("java.lang.Integer");
        assert_eq!(payload(written(&number)), "7");
    }

    #[test]
    fn unknown_fields_are_written_back() {
        let data = r#"{"name":"n","id":"i","address":null,"port":1,"sslPort":null,"payload":null,"registrationTimeUTC":5,"serviceType":"PERMANENT","uriSpec":null,"enabled":true,"zoo":{"b":1.50,"a":[ ]},"x":null}"#;
        let read = decode::<()>(data.as_bytes()).unwrap();
        assert_eq!(read.service_type, ServiceType::Permanent);
        assert_eq!(written(&read), data);
    }

    /// Missing fields have the values that Curator gives them.
    #[test]
    fn fields_may_be_missing_or_null() {
        let read = decode::<String>(b"{}").unwrap();
        assert_eq!((&*read.name, &*read.id, read.address), ("", "", None));
        assert_eq!(read.service_type, ServiceType::Dynamic);
        assert!(read.enabled && read.payload.is_none());
        let nulls =
            br#"{"name":null,"serviceType":null,"enabled":null,"registrationTimeUTC":null}"#;
        assert!(decode::<String>(nulls).unwrap().enabled);
        assert!(!decode::<String>(br#"{"enabled":false}"#).unwrap().enabled);
    }

    #[test]
    fn payloads_of_java_classes_are_read() {
        let read = |payload: &str| format!(r#"{{"name":"n","payload":{payload}}}"#).into_bytes();
        let data = read(r#"{"@class":"com.acme.Pay","zone":"a","weight":3}"#);
        let instance = decode::<Strict>(&data).unwrap();
        assert_eq!(instance.payload, Some(strict()));
        assert_eq!(instance.payload_class.as_deref(), Some("com.acme.Pay"));
        let again = decode::<Strict>(&encode(&instance).unwrap()).unwrap();
        assert_eq!(again.payload_class.as_deref(), Some("com.acme.Pay"));

        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "@class")]
        enum Tagged {
            #[serde(rename = "com.acme.Pay")]
            Pay { zone: String },
        }
        let tagged = decode::<Tagged>(&data).unwrap();
        let text = written(&tagged);
        assert_eq!(text.matches("@class").count(), 1, "{text}");

        let list = decode::<Vec<i32>>(&read(r#"["java.util.ArrayList",[1,2]]"#)).unwrap();
        assert_eq!(list.payload, Some(vec![1, 2]));
        assert!(written(&list).contains(r#"["java.util.ArrayList",[1,2]]"#));
        let pair = decode::<(String, i32)>(&read(r#"["a",2]"#)).unwrap();
        assert_eq!(pair.payload, Some(("a".to_owned(), 2)));
    }

    #[test]
    fn what_is_no_instance_is_an_error() {
        for data in [
            "",
            "{",
            "[]",
            "7",
            r#"{"port":"many"}"#,
            r#"{"serviceType":"NEW"}"#,
        ] {
            assert!(decode::<String>(data.as_bytes()).is_err(), "{data}");
        }
        assert!(decode::<Strict>(br#"{"payload":{"@class":"a.B","zone":1}}"#).is_err());
    }
}
