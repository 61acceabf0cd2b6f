//! The runtime's kernels as the compiler knows them: one line each in the table below.
//!
//! A line says which images a kernel reads and writes, which constant tables it takes, how its output may lie over its first
//! input, and what it costs. Running it on the host, checking it, placing it in memory and printing its call
//! follow from the line, so none of them can disagree with the others. Parameter structs live in `kiln-runtime-core`.
//!
//! A kernel is added in `kernels!` below, after its function in `runtime-core`.

mod consts;
mod order;

pub use consts::{ConstData, Tables};

use crate::tensor::ElemType;
use kiln_runtime_core::{self as rt, Block, Family, Image};
use std::ops::Range;

/// Where a kernel's parameters name memory.
pub struct Places<'a> {
    /// Images that it reads.
    pub reads: Vec<&'a mut Image>,
    /// Images that it writes.
    pub writes: Vec<&'a mut Image>,
    /// Byte offset of its scratch.
    pub scratch: Option<&'a mut usize>,
}

/// In which way an output may lie over the input that dies under it. The kernel's file says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// In none.
    No,
    /// Exactly, where both are the same image: each element is read before the output at its place is written.
    Elements,
    /// From the same start on: the kernel says so of these very images.
    Start,
}

impl From<bool> for Overlay {
    /// What `in_place` of the kernel's parameters says.
    fn from(in_place: bool) -> Overlay {
        if in_place { Overlay::Start } else { Overlay::No }
    }
}

/// What a kernel's constant tables are called in generated code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSpec {
    /// The struct of `kiln-runtime-core` that holds them; `None` when the kernel takes one slice.
    pub group: Option<&'static str>,
    /// Field names and element types, in order.
    pub fields: &'static [(&'static str, ElemType)],
}

macro_rules! kernels {
    (@check $p:ident [] $arguments:tt) => { $p.check $arguments };
    (@check $p:ident [$check:ident] $arguments:tt) => { $p.$check $arguments };
    (@run $function:ident $mem:ident $p:ident $rows:ident [] [$($tables:expr)?]) => { rt::$function($mem, $p, $rows $(, $tables)?) };
    (@run $function:ident $mem:ident $p:ident $rows:ident [$layer:ident] [$tables:expr]) => { rt::$function($mem, &$p.layer($tables), $rows) };
    ($(
        $(#[$doc:meta])*
        $variant:ident = $function:ident($params:ident) {
            reads [$($read:ident: $read_elem:ident),*], writes [$write:ident: $write_elem:ident]
            $(, scratch [$scratch:ident])? $(, tables [$tables:ty])? $(, check [$check:ident])?, overlay $overlay:expr, macs |$p:ident| $macs:expr
            $(, family $family:ident)? $(, layer [$layer:ident])?
        }
    )*) => {
        /// A call of one runtime kernel: the variant names the function, the payload is its parameter struct. Image
        /// offsets are relative to the buffer until [`Kernel::places`] is used to set them.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub enum Kernel { $( $(#[$doc])* $variant(rt::$params), )* }

        impl Kernel {
            /// Name of the function in `kiln-runtime-core`.
            pub fn function(&self) -> &'static str {
                match self { $( Kernel::$variant(_) => stringify!($function), )* }
            }

            /// Name of the parameter struct in `kiln-runtime-core`.
            pub fn params_type(&self) -> &'static str {
                match self { $( Kernel::$variant(_) => stringify!($params), )* }
            }

            /// The parameter struct as a Rust literal (its `Debug` form is one, but for the name of an alias).
            pub fn params_literal(&self) -> String {
                let debug = match self { $( Kernel::$variant(p) => format!("{p:?}"), )* };
                let fields = debug.find(' ').map_or("", |at| &debug[at..]);
                format!("{}{fields}", self.params_type())
            }

            /// Name of the struct into which the parameters and tables of a layer are packed, for kernels that take no others.
            pub fn layer_type(&self) -> Option<&'static str> {
                match self { $( Kernel::$variant(_) => {
                    #[allow(unused_mut, unused_assignments)] let mut name = None; $( name = Some(stringify!($layer)); )? name
                } )* }
            }

            /// Name of the parameters' check of images and tables.
            pub fn check_name(&self) -> &'static str {
                match self { $( Kernel::$variant(_) => {
                    #[allow(unused_mut, unused_assignments)] let mut name = "check"; $( name = stringify!($check); )? name
                } )* }
            }

            /// The images and the scratch offset, to be set when memory is planned.
            #[allow(unused_variables)]
            pub fn places(&mut self) -> Places<'_> {
                match self { $( Kernel::$variant(p) => Places {
                    reads: vec![$(&mut p.$read),*],
                    writes: vec![&mut p.$write],
                    scratch: { #[allow(unused_mut, unused_assignments)] let mut s = None; $( s = Some(&mut p.$scratch); )? s },
                }, )* }
            }

            /// Element types of the images that it reads, in order.
            pub fn read_elems(&self) -> &'static [ElemType] {
                match self { $( Kernel::$variant(_) => &[$(ElemType::$read_elem),*], )* }
            }

            /// Element types of the images that it writes, in order.
            pub fn write_elems(&self) -> &'static [ElemType] {
                match self { $( Kernel::$variant(_) => &[ElemType::$write_elem], )* }
            }

            /// Images that it reads, in order.
            #[allow(unused_variables)]
            pub fn reads(&self) -> Vec<Image> {
                match self { $( Kernel::$variant(p) => vec![$(p.$read),*], )* }
            }

            /// Images that it writes, in order.
            pub fn writes(&self) -> Vec<Image> {
                match self { $( Kernel::$variant(p) => vec![p.$write], )* }
            }

            /// Bytes of scratch.
            #[allow(unused_variables)]
            pub fn scratch_len(&self) -> usize {
                match self { $( Kernel::$variant(p) => {
                    #[allow(unused_mut, unused_assignments)] let mut n = 0; $( let _ = &p.$scratch; n = p.scratch_len(); )? n
                } )* }
            }

            /// What the offset of its scratch is a multiple of. Kernels of the fast families take whole blocks.
            pub fn scratch_align(&self) -> usize {
                if self.family() == Family::Plain { 4 } else { size_of::<Block>() }
            }

            /// Constant tables that it takes, `None` for none.
            pub fn tables(&self) -> Option<TableSpec> {
                match self { $( Kernel::$variant(_) => {
                    #[allow(unused_mut, unused_assignments)] let mut t = None;
                    $( t = Some(TableSpec { group: <$tables as Tables>::GROUP, fields: <$tables as Tables>::FIELDS }); )? t
                } )* }
            }

            /// In which way the output may lie over the first image that it reads.
            #[allow(unused_variables)]
            pub fn overlay(&self) -> Overlay {
                match self { $( Kernel::$variant($p) => Overlay::from($overlay), )* }
            }

            /// The family that the kernel was written for.
            pub fn family(&self) -> Family {
                match self { $( Kernel::$variant(_) => {
                    #[allow(unused_mut, unused_assignments)] let mut f = Family::Plain; $( f = Family::$family; )? f
                } )* }
            }

            /// Multiply-accumulates of the whole layer.
            #[allow(unused_variables)]
            pub fn macs(&self) -> u64 {
                match self { $( Kernel::$variant($p) => ($macs) as u64, )* }
            }

            /// Output rows of the whole layer.
            pub fn rows(&self) -> usize {
                match self { $( Kernel::$variant(p) => p.$write.height, )* }
            }

            /// Whether images, tables and scratch fit together in `arena` bytes.
            #[allow(unused_variables)]
            pub fn check(&self, consts: &[&ConstData], arena: usize) -> Result<(), &'static str> {
                match self { $( Kernel::$variant(p) => {
                    kernels!(@check p [$($check)?] ($( &<$tables as Tables>::bind(consts), )? arena))
                } )* }
            }

            /// Computes output rows on the host.
            #[allow(unused_variables)]
            pub fn run(&self, mem: &mut [Block], consts: &[&ConstData], rows: Range<usize>) {
                match self { $( Kernel::$variant(p) => {
                    kernels!(@run $function mem p rows [$($layer)?] [$(&<$tables as Tables>::bind(consts))?])
                } )* }
            }
        }
    };
}

impl Kernel {
    /// Whether its sums of products have 64 bits.
    pub fn is_wide(&self) -> bool {
        let tables = self.tables().map_or(&[][..], |t| t.fields);
        tables.contains(&("bias", ElemType::I64)) || matches!(self, Kernel::MatMulI16(_))
    }
}

kernels! {
    // integer layers with constant weights: `w4` has int4 weights, `wide` sums of 64 bits
    Conv2dI8 = conv2d_i8(Conv2dI8) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::Filter<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.taps()
    }
    Conv2dI8W4 = conv2d_i8_w4(Conv2dI8) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::Filter4<'_>], check [check_int4], overlay p.in_place(),
        macs |p| p.output.elements() * p.taps()
    }
    Conv2dI16 = conv2d_i16(Conv2dI16) {
        reads [input: I16], writes [output: I16], scratch [scratch], tables [rt::Filter<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.taps()
    }
    Conv2dI16Wide = conv2d_i16_wide(Conv2dI16) {
        reads [input: I16], writes [output: I16], scratch [scratch], tables [rt::FilterWide<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.taps()
    }
    Conv2dI16W4 = conv2d_i16_w4(Conv2dI16) {
        reads [input: I16], writes [output: I16], scratch [scratch], tables [rt::Filter4Wide<'_>], check [check_int4], overlay p.in_place(),
        macs |p| p.output.elements() * p.taps()
    }
    DepthwiseConv2dI8 = depthwise_conv2d_i8(DepthwiseConv2dI8) {
        reads [input: I8], writes [output: I8], tables [rt::Filter<'_>], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    DepthwiseConv2dI8W4 = depthwise_conv2d_i8_w4(DepthwiseConv2dI8) {
        reads [input: I8], writes [output: I8], tables [rt::Filter4<'_>], check [check_int4], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    DepthwiseConv2dI16 = depthwise_conv2d_i16(DepthwiseConv2dI16) {
        reads [input: I16], writes [output: I16], tables [rt::Filter<'_>], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    DepthwiseConv2dI16Wide = depthwise_conv2d_i16_wide(DepthwiseConv2dI16) {
        reads [input: I16], writes [output: I16], tables [rt::FilterWide<'_>], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    DepthwiseConv2dI16W4 = depthwise_conv2d_i16_w4(DepthwiseConv2dI16) {
        reads [input: I16], writes [output: I16], tables [rt::Filter4Wide<'_>], check [check_int4], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    FullyConnectedI8 = fully_connected_i8(FullyConnectedI8) {
        reads [input: I8], writes [output: I8], tables [rt::Filter<'_>], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    FullyConnectedI8W4 = fully_connected_i8_w4(FullyConnectedI8) {
        reads [input: I8], writes [output: I8], tables [rt::Filter4<'_>], check [check_int4], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    FullyConnectedI16 = fully_connected_i16(FullyConnectedI16) {
        reads [input: I16], writes [output: I16], tables [rt::Filter<'_>], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    FullyConnectedI16Wide = fully_connected_i16_wide(FullyConnectedI16) {
        reads [input: I16], writes [output: I16], tables [rt::FilterWide<'_>], overlay false,
        macs |p| p.output.elements() * p.taps()
    }
    FullyConnectedI16W4 = fully_connected_i16_w4(FullyConnectedI16) {
        reads [input: I16], writes [output: I16], tables [rt::Filter4Wide<'_>], check [check_int4], overlay false,
        macs |p| p.output.elements() * p.taps()
    }

    // int8
    MatMulI8 = matmul_i8(MatMulI8) {
        reads [a: I8, b: I8], writes [output: I8], overlay false, macs |p| p.output.elements() * p.a.channels
    }
    AddI8 = add_i8(AddI8) { reads [a: I8, b: I8], writes [output: I8], tables [[i8]], overlay Overlay::Elements, macs |_p| 0 }
    MulI8 = mul_i8(MulI8) { reads [a: I8, b: I8], writes [output: I8], tables [[i8]], overlay Overlay::Elements, macs |_p| 0 }
    MaxPoolI8 = max_pool_i8(MaxPoolI8) { reads [input: I8], writes [output: I8], overlay false, macs |_p| 0 }
    AveragePoolI8 = average_pool_i8(AveragePoolI8) { reads [input: I8], writes [output: I8], overlay false, macs |_p| 0 }
    LookupI8 = lookup_i8(LookupI8) { reads [input: I8], writes [output: I8], tables [[i8]], overlay Overlay::Elements, macs |_p| 0 }
    ClampI8 = clamp_i8(ClampI8) { reads [input: I8], writes [output: I8], overlay Overlay::Elements, macs |_p| 0 }
    RescaleI8 = rescale_i8(RescaleI8) { reads [input: I8], writes [output: I8], overlay Overlay::Elements, macs |_p| 0 }
    SoftmaxI8 = softmax_i8(SoftmaxI8) { reads [input: I8], writes [output: I8], tables [[u32]], overlay false, macs |_p| 0 }
    FlipSign = flip_sign(FlipSign) { reads [input: U8], writes [output: U8], overlay Overlay::Elements, macs |_p| 0 }

    // int8, cores with the DSP extension
    Conv2dI8Dsp = conv2d_i8_dsp(Conv2dI8Dsp) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterDsp<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width * p.input.channels,
        family Dsp, layer [ConvLayerDsp]
    }
    InterleavedConv2dI8Dsp = interleaved_conv2d_i8_dsp(InterleavedConv2dI8Dsp) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterDsp<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width * p.input.channels,
        family Dsp, layer [InterleavedLayerDsp]
    }
    PointwiseConv2dI8Dsp = pointwise_conv2d_i8_dsp(PointwiseConv2dI8Dsp) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterDsp<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.input.channels,
        family Dsp, layer [PointwiseLayerDsp]
    }
    DepthwiseConv2dI8Dsp = depthwise_conv2d_i8_dsp(DepthwiseConv2dI8Dsp) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::DepthwiseFilterDsp<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.window.height * p.window.width,
        family Dsp, layer [DepthwiseLayerDsp]
    }
    FullyConnectedI8Dsp = fully_connected_i8_dsp(FullyConnectedI8Dsp) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::DenseFilterDsp<'_>], overlay false,
        macs |p| p.output.elements() * p.input.width * p.input.channels,
        family Dsp, layer [DenseLayerDsp]
    }

    // int8, cores with MVE
    Conv2dI8Mve = conv2d_i8_mve(Conv2dI8Mve) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterMve<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width * p.input.channels,
        family Mve
    }
    PointwiseConv2dI8Mve = pointwise_conv2d_i8_mve(PointwiseConv2dI8Mve) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterMve<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.input.channels,
        family Mve
    }
    DepthwiseConv2dI8Mve = depthwise_conv2d_i8_mve(DepthwiseConv2dI8Mve) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::Filter<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.window.height * p.window.width,
        family Mve
    }
    FullyConnectedI8Mve = fully_connected_i8_mve(FullyConnectedI8Mve) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::DenseFilterMve<'_>], overlay false,
        macs |p| p.output.elements() * p.input.width * p.input.channels,
        family Mve
    }

    // int8, cores of 32 bits without SIMD
    Conv2dI8Scalar = conv2d_i8_scalar(Conv2dI8Scalar) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterScalar<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width * p.input.channels,
        family Scalar
    }
    PointwiseConv2dI8Scalar = pointwise_conv2d_i8_scalar(PointwiseConv2dI8Scalar) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterScalar<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.input.channels,
        family Scalar
    }
    FullyConnectedI8Scalar = fully_connected_i8_scalar(FullyConnectedI8Scalar) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterScalar<'_>], overlay false,
        macs |p| p.output.elements() * p.input.width * p.input.channels,
        family Scalar
    }
    DepthwiseConv2dI8Scalar = depthwise_conv2d_i8_scalar(DepthwiseConv2dI8Scalar) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterScalar<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.window.height * p.window.width,
        family Scalar
    }

    // int8, vectors
    Conv2dI8Simd = conv2d_i8_simd(Conv2dI8Simd) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterSimd<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width * p.input.channels,
        family Simd
    }
    PointwiseConv2dI8Simd = pointwise_conv2d_i8_simd(PointwiseConv2dI8Simd) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterSimd<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.input.channels,
        family Simd
    }
    DepthwiseConv2dI8Simd = depthwise_conv2d_i8_simd(DepthwiseConv2dI8Simd) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::DepthwiseFilterSimd<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width,
        family Simd
    }
    FullyConnectedI8Simd = fully_connected_i8_simd(FullyConnectedI8Simd) {
        reads [input: I8], writes [output: I8], scratch [scratch], tables [rt::FilterSimd<'_>], overlay false,
        macs |p| p.output.elements() * p.input.width * p.input.channels,
        family Simd
    }
    AveragePoolI8Simd = average_pool_i8_simd(AveragePoolI8) {
        reads [input: I8], writes [output: I8], overlay false, macs |_p| 0, family Simd
    }
    AddI8Simd = add_i8_simd(AddI8) {
        reads [a: I8, b: I8], writes [output: I8], tables [[i8]], overlay Overlay::Elements, macs |_p| 0,
        family Simd
    }

    // int16
    MatMulI16 = matmul_i16(MatMulI16) {
        reads [a: I16, b: I16], writes [output: I16], overlay false, macs |p| p.output.elements() * p.a.channels
    }
    AddI16 = add_i16(AddI16) { reads [a: I16, b: I16], writes [output: I16], tables [[i16]], overlay Overlay::Elements, macs |_p| 0 }
    MulI16 = mul_i16(MulI16) { reads [a: I16, b: I16], writes [output: I16], tables [[i16]], overlay Overlay::Elements, macs |_p| 0 }
    MaxPoolI16 = max_pool_i16(MaxPoolI16) { reads [input: I16], writes [output: I16], overlay false, macs |_p| 0 }
    AveragePoolI16 = average_pool_i16(AveragePoolI16) { reads [input: I16], writes [output: I16], overlay false, macs |_p| 0 }
    LookupI16 = lookup_i16(LookupI16) { reads [input: I16], writes [output: I16], tables [[i16]], overlay Overlay::Elements, macs |_p| 0 }
    ClampI16 = clamp_i16(ClampI16) { reads [input: I16], writes [output: I16], overlay Overlay::Elements, macs |_p| 0 }
    RescaleI16 = rescale_i16(RescaleI16) { reads [input: I16], writes [output: I16], overlay Overlay::Elements, macs |_p| 0 }
    FlipSign16 = flip_sign_16(FlipSign16) { reads [input: U16], writes [output: U16], overlay Overlay::Elements, macs |_p| 0 }

    // between int8, int16 and f32
    RescaleI8I16 = rescale_i8_i16(RescaleI8I16) { reads [input: I8], writes [output: I16], overlay false, macs |_p| 0 }
    RescaleI16I8 = rescale_i16_i8(RescaleI16I8) { reads [input: I16], writes [output: I8], overlay p.in_place(), macs |p| 0 }
    QuantizeF32I16 = quantize_f32_i16(QuantizeF32I16) { reads [input: F32], writes [output: I16], overlay p.in_place(), macs |p| 0 }
    DequantizeI16F32 = dequantize_i16_f32(DequantizeI16F32) { reads [input: I16], writes [output: F32], overlay false, macs |_p| 0 }
    QuantizeF32I8 = quantize_f32_i8(QuantizeF32I8) { reads [input: F32], writes [output: I8], overlay p.in_place(), macs |p| 0 }
    DequantizeI8F32 = dequantize_i8_f32(DequantizeI8F32) { reads [input: I8], writes [output: F32], overlay false, macs |_p| 0 }
    CastI32F32 = cast_i32_f32(CastI32F32) { reads [input: I32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }

    // 8-bit integers with zero points of run time
    DynamicRangeF32 = dynamic_range_f32(DynamicRangeF32) { reads [input: F32], writes [output: F32], overlay false, macs |_p| 0 }
    QuantizeDynamicF32U8 = quantize_dynamic_f32_u8(QuantizeDynamicF32U8) {
        reads [input: F32, range: F32], writes [output: U8], overlay false, macs |_p| 0
    }
    MatMulI8I32 = matmul_i8_i32(MatMulI8I32) {
        reads [a: I8, b: I8, a_zero_point: I8, b_zero_point: I8], writes [output: I32], tables [rt::IntegerFilter<'_>],
        overlay false, macs |p| p.output.elements() * p.a.channels
    }
    Conv2dI8I32 = conv2d_i8_i32(Conv2dI8I32) {
        reads [input: I8, input_zero_point: I8, weight_zero_point: I8], writes [output: I32], tables [rt::IntegerFilter<'_>],
        overlay false, macs |p| p.output.elements() * p.taps()
    }

    // moves
    Copy8 = copy_8(Copy) { reads [input: I8], writes [output: I8], overlay false, macs |_p| 0 }
    Copy16 = copy_16(Copy) { reads [input: I16], writes [output: I16], overlay false, macs |_p| 0 }
    Copy32 = copy_32(Copy) { reads [input: F32], writes [output: F32], overlay false, macs |_p| 0 }
    Copy64 = copy_64(Copy) { reads [input: I64], writes [output: I64], overlay false, macs |_p| 0 }
    Fill8 = fill_8(Fill8) { reads [], writes [output: I8], overlay false, macs |_p| 0 }
    Fill16 = fill_16(Fill16) { reads [], writes [output: I16], overlay false, macs |_p| 0 }
    Fill32 = fill_32(Fill32) { reads [], writes [output: F32], overlay false, macs |_p| 0 }
    Load8 = load_8(Load8) { reads [], writes [output: I8], tables [[i8]], overlay false, macs |_p| 0 }
    Load16 = load_16(Load16) { reads [], writes [output: I16], tables [[i16]], overlay false, macs |_p| 0 }
    Load32 = load_32(Load32) { reads [], writes [output: I32], tables [[i32]], overlay false, macs |_p| 0 }

    // f32
    Conv2dF32 = conv2d_f32(Conv2dF32) {
        reads [input: F32], writes [output: F32], scratch [scratch], tables [rt::FilterF32<'_>], overlay p.in_place(),
        macs |p| p.output.elements() * p.scratch_len() / 4
    }
    DepthwiseConv2dF32 = depthwise_conv2d_f32(DepthwiseConv2dF32) {
        reads [input: F32], writes [output: F32], tables [rt::FilterF32<'_>], overlay false,
        macs |p| p.output.elements() * p.window.height * p.window.width
    }
    FullyConnectedF32 = fully_connected_f32(FullyConnectedF32) {
        reads [input: F32], writes [output: F32], tables [rt::FilterF32<'_>], overlay false,
        macs |p| p.output.elements() * p.input.width * p.input.channels
    }
    MatMulF32 = matmul_f32(MatMulF32) {
        reads [a: F32, b: F32], writes [output: F32], overlay false, macs |p| p.output.elements() * p.a.channels
    }
    AddF32 = add_f32(BinaryF32) { reads [a: F32, b: F32], writes [output: F32], tables [[f32]], overlay Overlay::Elements, macs |_p| 0 }
    SubF32 = sub_f32(BinaryF32) { reads [a: F32, b: F32], writes [output: F32], tables [[f32]], overlay Overlay::Elements, macs |_p| 0 }
    MulF32 = mul_f32(BinaryF32) { reads [a: F32, b: F32], writes [output: F32], tables [[f32]], overlay Overlay::Elements, macs |_p| 0 }
    DivF32 = div_f32(BinaryF32) { reads [a: F32, b: F32], writes [output: F32], tables [[f32]], overlay Overlay::Elements, macs |_p| 0 }
    PreluF32 = prelu_f32(BinaryF32) { reads [a: F32, b: F32], writes [output: F32], tables [[f32]], overlay Overlay::Elements, macs |_p| 0 }
    MaxPoolF32 = max_pool_f32(MaxPoolF32) { reads [input: F32], writes [output: F32], overlay false, macs |_p| 0 }
    AveragePoolF32 = average_pool_f32(AveragePoolF32) { reads [input: F32], writes [output: F32], overlay false, macs |_p| 0 }
    SoftmaxF32 = softmax_f32(SoftmaxF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
    ClampF32 = clamp_f32(ClampF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
    SigmoidF32 = sigmoid_f32(SigmoidF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
    TanhF32 = tanh_f32(TanhF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
    HardSigmoidF32 = hard_sigmoid_f32(HardSigmoidF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
    HardSwishF32 = hard_swish_f32(HardSwishF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
    LeakyReluF32 = leaky_relu_f32(LeakyReluF32) { reads [input: F32], writes [output: F32], overlay Overlay::Elements, macs |_p| 0 }
}
