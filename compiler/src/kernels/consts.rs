//! Constant tables on the host, and how each kernel's table struct is put together from them.

use crate::tensor::ElemType;
use kiln_runtime_core::{DenseFilterDsp, DepthwiseFilterDsp, Filter, FilterDsp, FilterF32, IntegerFilter};

/// The values of one constant table.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum ConstData {
    I8(Vec<i8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    F32(Vec<f32>),
}

impl ConstData {
    /// Element type.
    pub fn elem(&self) -> ElemType {
        match self {
            ConstData::I8(_) => ElemType::I8,
            ConstData::U8(_) => ElemType::U8,
            ConstData::I32(_) => ElemType::I32,
            ConstData::U32(_) => ElemType::U32,
            ConstData::F32(_) => ElemType::F32,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            ConstData::I8(v) => v.len(),
            ConstData::U8(v) => v.len(),
            ConstData::I32(v) => v.len(),
            ConstData::U32(v) => v.len(),
            ConstData::F32(v) => v.len(),
        }
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes in flash.
    pub fn size(&self) -> usize {
        self.len() * self.elem().size()
    }

    /// Little-endian bytes, as they lie in flash.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            ConstData::I8(v) => v.iter().map(|&x| x as u8).collect(),
            ConstData::U8(v) => v.clone(),
            ConstData::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ConstData::U32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ConstData::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

/// A kernel's tables: the struct or slice that it takes, bound to host constants in the order of `FIELDS`.
pub trait Tables {
    /// Struct in `kiln-runtime-core`, `None` for a single slice.
    const GROUP: Option<&'static str>;
    /// Field names and element types.
    const FIELDS: &'static [(&'static str, ElemType)];
    /// What the kernel takes.
    type Bound<'a>;
    /// Binds constants, a missing one to the empty table.
    fn bind<'a>(consts: &[&'a ConstData]) -> Self::Bound<'a>;
}

macro_rules! slice {
    ($($variant:ident $t:ty, $get:ident;)*) => { $(
        fn $get<'a>(consts: &[&'a ConstData], i: usize) -> &'a [$t] {
            match consts.get(i) {
                Some(ConstData::$variant(v)) => v,
                _ => &[],
            }
        }

        impl Tables for [$t] {
            const GROUP: Option<&'static str> = None;
            const FIELDS: &'static [(&'static str, ElemType)] = &[("table", ElemType::$variant)];
            type Bound<'a> = &'a [$t];
            fn bind<'a>(consts: &[&'a ConstData]) -> &'a [$t] {
                $get(consts, 0)
            }
        }
    )* };
}
slice! { I8 i8, i8s; U8 u8, u8s; I32 i32, i32s; U32 u32, u32s; F32 f32, f32s; }

impl Tables for Filter<'_> {
    const GROUP: Option<&'static str> = Some("Filter");
    const FIELDS: &'static [(&'static str, ElemType)] = &[
        ("weights", ElemType::I8),
        ("bias", ElemType::I32),
        ("multiplier", ElemType::I32),
        ("shift", ElemType::U8),
        ("weight_zero_point", ElemType::I8),
    ];
    type Bound<'a> = Filter<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> Filter<'a> {
        Filter {
            weights: i8s(consts, 0),
            bias: i32s(consts, 1),
            multiplier: i32s(consts, 2),
            shift: u8s(consts, 3),
            weight_zero_point: i8s(consts, 4),
        }
    }
}

impl Tables for FilterF32<'_> {
    const GROUP: Option<&'static str> = Some("FilterF32");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::F32), ("bias", ElemType::F32)];
    type Bound<'a> = FilterF32<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> FilterF32<'a> {
        FilterF32 { weights: f32s(consts, 0), bias: f32s(consts, 1) }
    }
}

impl Tables for FilterDsp<'_> {
    const GROUP: Option<&'static str> = Some("FilterDsp");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::U32), ("pairs", ElemType::I32)];
    type Bound<'a> = FilterDsp<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> FilterDsp<'a> {
        FilterDsp { weights: u32s(consts, 0), pairs: i32s(consts, 1) }
    }
}

impl Tables for DepthwiseFilterDsp<'_> {
    const GROUP: Option<&'static str> = Some("DepthwiseFilterDsp");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::U32), ("channels", ElemType::I32)];
    type Bound<'a> = DepthwiseFilterDsp<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> DepthwiseFilterDsp<'a> {
        DepthwiseFilterDsp { weights: u32s(consts, 0), channels: i32s(consts, 1) }
    }
}

impl Tables for DenseFilterDsp<'_> {
    const GROUP: Option<&'static str> = Some("DenseFilterDsp");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::U32), ("quads", ElemType::I32)];
    type Bound<'a> = DenseFilterDsp<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> DenseFilterDsp<'a> {
        DenseFilterDsp { weights: u32s(consts, 0), quads: i32s(consts, 1) }
    }
}

impl Tables for IntegerFilter<'_> {
    const GROUP: Option<&'static str> = Some("IntegerFilter");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::I8), ("input_zero_point", ElemType::I8), ("weight_zero_point", ElemType::I8)];
    type Bound<'a> = IntegerFilter<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> IntegerFilter<'a> {
        IntegerFilter {
            weights: i8s(consts, 0),
            input_zero_point: i8s(consts, 1),
            weight_zero_point: i8s(consts, 2),
        }
    }
}
