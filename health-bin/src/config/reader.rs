//! serde's view of a tree: strict about shapes, and an error knows where in the tree it is.

use std::fmt;
use std::slice::Iter;

use serde::Deserializer;
use serde::de;
use serde::de::DeserializeSeed;
use serde::de::Expected;
use serde::de::IntoDeserializer;
use serde::de::Unexpected;
use serde::de::Visitor;
use serde::de::value::StrDeserializer;
use serde::forward_to_deserialize_any;

use super::tree::Child;
use super::tree::Content;
use super::tree::Name;
use super::tree::Node;

/// Reads a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

/// Indicates a value that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which child of which child it is, the innermost first.
    pub(super) steps: Vec<usize>,
    pub(super) kind: FaultKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The key is not among these.
    Unknown(&'static [&'static str]),
    /// A key that must be there is not.
    Missing(&'static str),
    /// The value is of another kind. It may be a secret, so whoever tells decides to show it.
    Kind {
        is: String,
        shown: Option<String>,
        wanted: String,
    },
    /// Another word is wanted.
    Word {
        is: String,
        allowed: &'static [&'static str],
    },
    /// It is wrong as the type says.
    Other(String),
}

/// What is in a list or a map, one after the other.
struct Children<'a> {
    rest: std::iter::Enumerate<Iter<'a, Child>>,
    value: Option<(usize, &'a Node)>,
}

// === impl Reader ===

impl Reader<'_> {
    fn refuse<V>(self, wanted: &dyn Expected) -> Result<V, Fault> {
        let is = match &self.0.content {
            Content::Null => Unexpected::Unit,
            Content::Bool(value) => Unexpected::Bool(*value),
            Content::Unsigned(value) => Unexpected::Unsigned(*value),
            Content::Signed(value) => Unexpected::Signed(*value),
            Content::Float(value) => Unexpected::Float(*value),
            Content::Text(text) => Unexpected::Str(text),
            Content::List(_) => Unexpected::Seq,
            Content::Map(_) => Unexpected::Map,
        };
        Err(de::Error::invalid_type(is, wanted))
    }

    fn children(&self) -> Children<'_> {
        Children {
            rest: self.0.children().iter().enumerate(),
            value: None,
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Unsigned(value) => visitor.visit_u64(*value),
            Content::Signed(value) => visitor.visit_i64(*value),
            Content::Float(value) => visitor.visit_f64(*value),
            Content::Text(text) => visitor.visit_str(text),
            Content::List(_) => visitor.visit_seq(self.children()),
            Content::Map(_) => visitor.visit_map(self.children()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.content {
            Content::Null => visitor.visit_none(),
            Content::Bool(_)
            | Content::Unsigned(_)
            | Content::Signed(_)
            | Content::Float(_)
            | Content::Text(_)
            | Content::List(_)
            | Content::Map(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A list is no struct, though serde would take one.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.content {
            Content::Map(_) => visitor.visit_map(self.children()),
            Content::Null
            | Content::Bool(_)
            | Content::Unsigned(_)
            | Content::Signed(_)
            | Content::Float(_)
            | Content::Text(_)
            | Content::List(_) => self.refuse(&visitor),
        }
    }

    /// Only variants without content are ever written.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.content {
            Content::Text(text) => visitor.visit_enum(word(text)),
            Content::Null
            | Content::Bool(_)
            | Content::Unsigned(_)
            | Content::Signed(_)
            | Content::Float(_)
            | Content::List(_)
            | Content::Map(_) => self.refuse(&"a string"),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

// === impl Children ===

impl<'de> de::SeqAccess<'de> for Children<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, child)) = self.rest.next() else {
            return Ok(None);
        };
        let value = seed.deserialize(Reader(&child.node));
        value.map(Some).map_err(|fault| fault.within(index))
    }
}

impl<'de> de::MapAccess<'de> for Children<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((index, child)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((index, &child.node));
        let key = match &child.name {
            Name::Key(key) => key.as_str(),
            Name::Number(_) => "",
        };
        let key = seed.deserialize(word(key));
        key.map(Some).map_err(|fault| fault.within(index))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((index, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let value = seed.deserialize(Reader(node));
        value.map_err(|fault| fault.within(index))
    }
}

fn word(text: &str) -> StrDeserializer<'_, Fault> {
    text.into_deserializer()
}

// === impl Fault ===

impl Fault {
    fn within(mut self, index: usize) -> Self {
        self.steps.push(index);
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        let steps = Vec::new();
        Self { steps, kind }
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        FaultKind::Other(message.to_string()).into()
    }

    fn invalid_type(is: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let (is, shown) = match is {
            Unexpected::Unit | Unexpected::Option => ("empty", None),
            Unexpected::Bool(value) => ("the truth value", Some(value.to_string())),
            Unexpected::Unsigned(value) => ("the number", Some(value.to_string())),
            Unexpected::Signed(value) => ("the number", Some(value.to_string())),
            Unexpected::Float(value) => ("the number", Some(value.to_string())),
            Unexpected::Str(text) => ("the text", Some(format!("{text:?}"))),
            Unexpected::Seq => ("a list", None),
            Unexpected::Map => ("a map", None),
            Unexpected::Char(_)
            | Unexpected::Bytes(_)
            | Unexpected::NewtypeStruct
            | Unexpected::Enum
            | Unexpected::UnitVariant
            | Unexpected::NewtypeVariant
            | Unexpected::TupleVariant
            | Unexpected::StructVariant
            | Unexpected::Other(_) => ("something else", None),
        };
        let wanted = wanted.to_string();
        let wanted = match wanted.as_str() {
            "u16" => "a whole number from 0 to 65535",
            "u32" => "a whole number from 0 to 4294967295",
            "u64" | "usize" => "a whole number, 0 or more",
            "f32" | "f64" => "a number",
            "a boolean" => "true or false",
            "a string" | "path string" => "a text, in quotes where it looks like something else",
            "a sequence" => "a list",
            "a map" => "a map of keys and values",
            other if other.starts_with("struct ") => "a map of keys and values",
            other => other,
        };
        FaultKind::Kind {
            is: is.to_owned(),
            shown,
            wanted: wanted.to_owned(),
        }
        .into()
    }

    fn invalid_value(is: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(is, wanted)
    }

    fn unknown_variant(variant: &str, allowed: &'static [&'static str]) -> Self {
        let is = variant.to_owned();
        FaultKind::Word { is, allowed }.into()
    }

    fn unknown_field(_field: &str, known: &'static [&'static str]) -> Self {
        FaultKind::Unknown(known).into()
    }

    fn missing_field(field: &'static str) -> Self {
        FaultKind::Missing(field).into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}
