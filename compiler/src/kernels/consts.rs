//! Constant tables on the host, and how each kernel's table struct is put together from them.

use crate::tensor::ElemType;
use kiln_runtime_core::{
    DenseFilterDsp, DenseFilterMve, DepthwiseFilterDsp, DepthwiseFilterSimd, Filter, Filter4, Filter4Wide,
    FilterDsp, FilterF32, FilterMve, FilterScalar, FilterSimd, FilterWide, IntegerFilter,
};

/// The values of one constant table.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum ConstData {
    I8(Vec<i8>),
    U8(Vec<u8>),
    I16(Vec<i16>),
    U16(Vec<u16>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
}

impl ConstData {
    /// Element type.
    pub fn elem(&self) -> ElemType {
        match self {
            ConstData::I8(_) => ElemType::I8,
            ConstData::U8(_) => ElemType::U8,
            ConstData::I16(_) => ElemType::I16,
            ConstData::U16(_) => ElemType::U16,
            ConstData::I32(_) => ElemType::I32,
            ConstData::U32(_) => ElemType::U32,
            ConstData::I64(_) => ElemType::I64,
            ConstData::F32(_) => ElemType::F32,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            ConstData::I8(v) => v.len(),
            ConstData::U8(v) => v.len(),
            ConstData::I16(v) => v.len(),
            ConstData::U16(v) => v.len(),
            ConstData::I32(v) => v.len(),
            ConstData::U32(v) => v.len(),
            ConstData::I64(v) => v.len(),
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
            ConstData::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ConstData::U16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ConstData::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ConstData::U32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ConstData::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
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
slice! {
    I8 i8, i8s; U8 u8, u8s; I16 i16, i16s; U16 u16, u16s; I32 i32, i32s; U32 u32, u32s; I64 i64, i64s; F32 f32, f32s;
}

macro_rules! filter {
    ($($filter:ident $bias:ident $biases:ident;)*) => { $(
        impl Tables for $filter<'_> {
            const GROUP: Option<&'static str> = Some(stringify!($filter));
            const FIELDS: &'static [(&'static str, ElemType)] = &[
                ("weights", ElemType::I8),
                ("bias", ElemType::$bias),
                ("multiplier", ElemType::I32),
                ("shift", ElemType::U8),
                ("weight_zero_point", ElemType::I8),
            ];
            type Bound<'a> = $filter<'a>;
            fn bind<'a>(consts: &[&'a ConstData]) -> $filter<'a> {
                $filter {
                    weights: i8s(consts, 0),
                    bias: $biases(consts, 1),
                    multiplier: i32s(consts, 2),
                    shift: u8s(consts, 3),
                    weight_zero_point: i8s(consts, 4),
                }
            }
        }
    )* };
}
filter! { Filter I32 i32s; FilterWide I64 i64s; }

macro_rules! filter4 {
    ($($filter:ident $bias:ident $biases:ident;)*) => { $(
        impl Tables for $filter<'_> {
            const GROUP: Option<&'static str> = Some(stringify!($filter));
            const FIELDS: &'static [(&'static str, ElemType)] = &[
                ("weights", ElemType::U8),
                ("bias", ElemType::$bias),
                ("multiplier", ElemType::I32),
                ("shift", ElemType::U8),
                ("groups", ElemType::U16),
                ("factor", ElemType::U8),
            ];
            type Bound<'a> = $filter<'a>;
            fn bind<'a>(consts: &[&'a ConstData]) -> $filter<'a> {
                $filter {
                    weights: u8s(consts, 0),
                    bias: $biases(consts, 1),
                    multiplier: i32s(consts, 2),
                    shift: u8s(consts, 3),
                    groups: u16s(consts, 4),
                    factor: u8s(consts, 5),
                }
            }
        }
    )* };
}
filter4! { Filter4 I32 i32s; Filter4Wide I64 i64s; }

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

impl Tables for FilterMve<'_> {
    const GROUP: Option<&'static str> = Some("FilterMve");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::I8), ("pairs", ElemType::I32)];
    type Bound<'a> = FilterMve<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> FilterMve<'a> {
        FilterMve { weights: i8s(consts, 0), pairs: i32s(consts, 1) }
    }
}

impl Tables for DenseFilterMve<'_> {
    const GROUP: Option<&'static str> = Some("DenseFilterMve");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::I8), ("quads", ElemType::I32)];
    type Bound<'a> = DenseFilterMve<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> DenseFilterMve<'a> {
        DenseFilterMve { weights: i8s(consts, 0), quads: i32s(consts, 1) }
    }
}

impl Tables for FilterScalar<'_> {
    const GROUP: Option<&'static str> = Some("FilterScalar");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::I8), ("channels", ElemType::I32)];
    type Bound<'a> = FilterScalar<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> FilterScalar<'a> {
        FilterScalar { weights: i8s(consts, 0), channels: i32s(consts, 1) }
    }
}

impl Tables for FilterSimd<'_> {
    const GROUP: Option<&'static str> = Some("FilterSimd");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::I8), ("blocks", ElemType::I32)];
    type Bound<'a> = FilterSimd<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> FilterSimd<'a> {
        FilterSimd { weights: i8s(consts, 0), blocks: i32s(consts, 1) }
    }
}

impl Tables for DepthwiseFilterSimd<'_> {
    const GROUP: Option<&'static str> = Some("DepthwiseFilterSimd");
    const FIELDS: &'static [(&'static str, ElemType)] =
        &[("weights", ElemType::I8), ("blocks", ElemType::I32)];
    type Bound<'a> = DepthwiseFilterSimd<'a>;
    fn bind<'a>(consts: &[&'a ConstData]) -> DepthwiseFilterSimd<'a> {
        DepthwiseFilterSimd { weights: i8s(consts, 0), blocks: i32s(consts, 1) }
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
