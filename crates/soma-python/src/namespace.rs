//! Answers as Python sees them: attributes for fields, like the published
//! client's.

use std::fmt;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use serde::ser::{self, Serialize};
use soma_proto::effects::{ExecutionStatus, TransactionEffects, WrittenObject};
use soma_proto::{Object, ObjectRef};

use crate::error::Error;

/// Turns a value into dictionaries, lists, tuples and plain values.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    value: &(impl Serialize + ?Sized),
) -> PyResult<Bound<'py, PyAny>> {
    value.serialize(ToPython(py)).map_err(|error| error.0)
}

/// Turns a value into objects with attributes.
pub(crate) fn shape<'py>(
    py: Python<'py>,
    value: &(impl Serialize + ?Sized),
) -> PyResult<Bound<'py, PyAny>> {
    attributes(&class(py, "Shape")?, to_python(py, value)?)
}

/// Turns a record into an object of a class of `soma._types`; takes the
/// interpreter lock itself.
pub(crate) fn made(name: &str, value: &(impl Serialize + ?Sized)) -> Result<Py<PyAny>, Error> {
    Ok(Python::attach(|py| {
        let fields = to_python(py, value)?.cast_into::<PyDict>()?;
        Ok::<_, PyErr>(class(py, name)?.call((), Some(&fields))?.unbind())
    })?)
}

/// An object with these attributes.
pub(crate) fn shape_of<'py>(fields: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    class(fields.py(), "Shape")?.call((), Some(fields))
}

/// A class of `soma._types`.
pub(crate) fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("soma._types")?.getattr(name)
}

/// Effects with flat fields; `V1` is a property of their class.
pub(crate) fn effects<'py>(
    py: Python<'py>,
    effects: &TransactionEffects,
) -> PyResult<Bound<'py, PyAny>> {
    let v1 = effects.v1();
    let fields = to_python(py, v1)?.cast_into::<PyDict>()?;
    let shapes = class(py, "Shape")?;
    for key in ["transaction_fee", "changed_objects"] {
        if let Some(value) = fields.get_item(key)? {
            fields.set_item(key, attributes(&shapes, value)?)?;
        }
    }
    if let ExecutionStatus::Failure { error } = &v1.status {
        let status = class(py, "FailedStatus")?.call1((error.to_string(),))?;
        let failure = PyDict::new(py);
        failure.set_item("error", attributes(&shapes, to_python(py, error)?)?)?;
        status.setattr("Failure", shapes.call((), Some(&failure))?)?;
        fields.set_item("status", status)?;
    }
    let written = |objects: Vec<WrittenObject>| -> PyResult<Vec<Bound<'py, PyAny>>> {
        objects
            .iter()
            .map(|object| {
                reference(py, &object.reference, object.owner.address().map(|a| a.to_string()))
            })
            .collect()
    };
    fields.set_item("created", written(effects.created().collect())?)?;
    fields.set_item("mutated", written(effects.mutated().collect())?)?;
    let deleted: Vec<_> = effects.deleted().map(|object| object.id().to_string()).collect();
    fields.set_item("deleted", deleted)?;
    let gas = PyDict::new(py);
    gas.set_item("computation_cost", v1.transaction_fee.total_fee)?;
    for none in ["storage_cost", "storage_rebate", "non_refundable_storage_fee"] {
        gas.set_item(none, 0)?;
    }
    fields.set_item("gas_used", shapes.call((), Some(&gas))?)?;
    class(py, "TransactionEffects")?.call((), Some(&fields))
}

/// An object with its reference beside it.
pub(crate) fn object<'py>(py: Python<'py>, object: &Object) -> PyResult<Bound<'py, PyAny>> {
    let found = shape(py, object)?;
    let ObjectRef(id, version, digest) = object.reference();
    found.setattr("id", id.to_string())?;
    found.setattr("version", version)?;
    found.setattr("digest", digest.to_string())?;
    Ok(found)
}

fn reference<'py>(
    py: Python<'py>,
    &ObjectRef(id, version, digest): &ObjectRef,
    owner: Option<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("id", id.to_string())?;
    fields.set_item("version", version)?;
    fields.set_item("digest", digest.to_string())?;
    fields.set_item("owner", owner)?;
    shape_of(&fields)
}

/// Dictionaries whose keys are text become objects; those inside tuples stay
/// as they are, as the published client has it.
fn attributes<'py>(
    shapes: &Bound<'py, PyAny>,
    value: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if let Ok(list) = value.cast::<PyList>() {
        let items =
            list.iter().map(|item| attributes(shapes, item)).collect::<PyResult<Vec<_>>>()?;
        return Ok(PyList::new(py, items)?.into_any());
    }
    let Ok(dictionary) = value.cast::<PyDict>() else { return Ok(value) };
    let fields = PyDict::new(py);
    let mut named = true;
    for (key, item) in dictionary {
        named &= key.is_instance_of::<pyo3::types::PyString>();
        fields.set_item(key, attributes(shapes, item)?)?;
    }
    if named { shapes.call((), Some(&fields)) } else { Ok(fields.into_any()) }
}

/// What the serializer fails with: an exception.
#[derive(Debug)]
pub(crate) struct Failure(PyErr);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(pyo3::exceptions::PyValueError::new_err(message.to_string()))
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

type Made<'py> = Result<Bound<'py, PyAny>, Failure>;

/// Serde's serializer into Python's own values.
#[derive(Clone, Copy)]
struct ToPython<'py>(Python<'py>);

impl<'py> ToPython<'py> {
    fn plain(self, value: impl IntoPyObject<'py>) -> Made<'py> {
        Ok(value.into_bound_py_any(self.0)?)
    }

    fn variant(self, name: &'static str, value: Bound<'py, PyAny>) -> Made<'py> {
        let dictionary = PyDict::new(self.0);
        dictionary.set_item(name, value)?;
        Ok(dictionary.into_any())
    }

    fn items(self, variant: Option<&'static str>) -> Items<'py> {
        Items { to: self, variant, items: Vec::new() }
    }

    fn fields(self, variant: Option<&'static str>) -> Fields<'py> {
        Fields { to: self, variant, fields: PyDict::new(self.0), key: None }
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty,)+) => {
        $(fn $method(self, value: $type) -> Made<'py> {
            self.plain(value)
        })+
    };
}

impl<'py> ser::Serializer for ToPython<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Failure;
    type SerializeSeq = List<'py>;
    type SerializeTuple = Items<'py>;
    type SerializeTupleStruct = Items<'py>;
    type SerializeTupleVariant = Items<'py>;
    type SerializeMap = Fields<'py>;
    type SerializeStruct = Fields<'py>;
    type SerializeStructVariant = Fields<'py>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
    }

    fn serialize_bytes(self, value: &[u8]) -> Made<'py> {
        Ok(PyBytes::new(self.0, value).into_any())
    }

    fn serialize_none(self) -> Made<'py> {
        Ok(self.0.None().into_bound(self.0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made<'py> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Made<'py> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Made<'py> {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Made<'py> {
        self.plain(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Made<'py> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Made<'py> {
        self.variant(variant, value.serialize(self)?)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'py>, Failure> {
        Ok(List(self.items(None)))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items<'py>, Failure> {
        Ok(self.items(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'py>, Failure> {
        Ok(self.items(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'py>, Failure> {
        Ok(self.items(Some(variant)))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Fields<'py>, Failure> {
        Ok(self.fields(None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'py>, Failure> {
        Ok(self.fields(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'py>, Failure> {
        Ok(self.fields(Some(variant)))
    }
}

struct List<'py>(Items<'py>);

impl<'py> ser::SerializeSeq for List<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.0.push(value)
    }

    fn end(self) -> Made<'py> {
        Ok(PyList::new(self.0.to.0, self.0.items)?.into_any())
    }
}

struct Items<'py> {
    to: ToPython<'py>,
    variant: Option<&'static str>,
    items: Vec<Bound<'py, PyAny>>,
}

impl<'py> Items<'py> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.items.push(value.serialize(self.to)?);
        Ok(())
    }

    fn tuple(self) -> Made<'py> {
        let tuple = PyTuple::new(self.to.0, self.items)?.into_any();
        match self.variant {
            Some(variant) => self.to.variant(variant, tuple),
            None => Ok(tuple),
        }
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident,)+) => {
        $(impl<'py> ser::$trait for Items<'py> {
            type Ok = Bound<'py, PyAny>;
            type Error = Failure;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
                self.push(value)
            }

            fn end(self) -> Made<'py> {
                self.tuple()
            }
        })+
    };
}

items! {
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

struct Fields<'py> {
    to: ToPython<'py>,
    variant: Option<&'static str>,
    fields: Bound<'py, PyDict>,
    key: Option<Bound<'py, PyAny>>,
}

impl<'py> Fields<'py> {
    fn dictionary(self) -> Made<'py> {
        match self.variant {
            Some(variant) => self.to.variant(variant, self.fields.into_any()),
            None => Ok(self.fields.into_any()),
        }
    }
}

impl<'py> ser::SerializeMap for Fields<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        self.key = Some(key.serialize(self.to)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let key = self
            .key
            .take()
            .ok_or_else(|| <Failure as ser::Error>::custom("a value without a key"))?;
        Ok(self.fields.set_item(key, value.serialize(self.to)?)?)
    }

    fn end(self) -> Made<'py> {
        self.dictionary()
    }
}

macro_rules! fields {
    ($($trait:ident,)+) => {
        $(impl<'py> ser::$trait for Fields<'py> {
            type Ok = Bound<'py, PyAny>;
            type Error = Failure;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Failure> {
                Ok(self.fields.set_item(key, value.serialize(self.to)?)?)
            }

            fn end(self) -> Made<'py> {
                self.dictionary()
            }
        })+
    };
}

fields! {
    SerializeStruct,
    SerializeStructVariant,
}
