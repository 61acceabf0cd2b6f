//! The kernels of each integer type of activations, so that lowering has one body for all of them.

use crate::kernels::{ConstData, Kernel};
use crate::tensor::{ElemType, Tensor};
use kiln_runtime_core::{self as rt, Image, Window};

/// The form of a layer's constant tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// int8 weights, sums of 32 bits.
    Narrow,
    /// int8 weights, sums of 64 bits.
    Wide,
    /// int4 weights; sums of 32 bits for int8 activations, of 64 for int16.
    Int4,
}

/// An element type of activations with its kernels.
pub trait Integer: rt::Activation<Sum: 'static> + 'static {
    /// The type.
    const ELEM: ElemType;
    /// Whether sums of 64 bits have kernels.
    const WIDE: bool;
    /// A convolution with tables of a form.
    fn conv2d(p: rt::Conv2d<Self>, form: Form) -> Kernel;
    /// A depthwise convolution.
    fn depthwise(p: rt::DepthwiseConv2d<Self>, form: Form) -> Kernel;
    /// A dense layer.
    fn dense(p: rt::FullyConnected<Self>, form: Form) -> Kernel;
    /// A product of activations.
    fn matmul(p: rt::MatMul<Self>) -> Kernel;
    /// A sum or difference; the constant as [`super::two_multiplier`] gives it for the type.
    fn add(p: rt::Add<Self>) -> Kernel;
    /// A product of elements.
    fn mul(p: rt::Mul<Self>) -> Kernel;
    /// The constant of an [`rt::Add`].
    fn constant(value: i64) -> Self::Sum;
    /// The mean of windows.
    fn average_pool(p: rt::AveragePool<Self>) -> Kernel;
    /// The largest value of windows.
    fn max_pool(input: Image, output: Image, window: Window) -> Kernel;
    /// Bounds.
    fn bounded(input: Image, output: Image, bounds: (Self, Self)) -> Kernel;
    /// A constant operand.
    fn table(values: &Tensor) -> ConstData;
    /// A value everywhere.
    fn fill(output: Image, value: Self) -> Kernel;

    /// Smallest and largest value.
    fn bounds() -> (Self, Self) {
        let (low, high) = Self::ELEM.bounds();
        (Self::narrow(low), Self::narrow(high))
    }
}

macro_rules! shared {
    ($t:ty, $elem:ident, $to:ident, $matmul:ident $add:ident $mul:ident $average:ident $max:ident($max_params:ident)
     $clamp:ident($clamp_params:ident) $fill:ident($fill_params:ident)) => {
        const ELEM: ElemType = ElemType::$elem;

        fn matmul(p: rt::MatMul<$t>) -> Kernel {
            Kernel::$matmul(p)
        }

        fn add(p: rt::Add<$t>) -> Kernel {
            Kernel::$add(p)
        }

        fn mul(p: rt::Mul<$t>) -> Kernel {
            Kernel::$mul(p)
        }

        fn average_pool(p: rt::AveragePool<$t>) -> Kernel {
            Kernel::$average(p)
        }

        fn max_pool(input: Image, output: Image, window: Window) -> Kernel {
            let (min, max) = Self::bounds();
            Kernel::$max(rt::$max_params { input, output, window, min, max })
        }

        fn bounded(input: Image, output: Image, (min, max): ($t, $t)) -> Kernel {
            Kernel::$clamp(rt::$clamp_params { input, output, min, max })
        }

        fn table(values: &Tensor) -> ConstData {
            ConstData::$elem(values.$to())
        }

        fn fill(output: Image, value: $t) -> Kernel {
            Kernel::$fill(rt::$fill_params { output, value })
        }
    };
}

impl Integer for i8 {
    const WIDE: bool = false;

    shared! { i8, I8, to_i8s, MatMulI8 AddI8 MulI8 AveragePoolI8 MaxPoolI8(MaxPoolI8) ClampI8(ClampI8) Fill8(Fill8) }

    fn conv2d(p: rt::Conv2d<i8>, form: Form) -> Kernel {
        match form {
            Form::Narrow | Form::Wide => Kernel::Conv2dI8(p),
            Form::Int4 => Kernel::Conv2dI8W4(p),
        }
    }

    fn depthwise(p: rt::DepthwiseConv2d<i8>, form: Form) -> Kernel {
        match form {
            Form::Narrow | Form::Wide => Kernel::DepthwiseConv2dI8(p),
            Form::Int4 => Kernel::DepthwiseConv2dI8W4(p),
        }
    }

    fn dense(p: rt::FullyConnected<i8>, form: Form) -> Kernel {
        match form {
            Form::Narrow | Form::Wide => Kernel::FullyConnectedI8(p),
            Form::Int4 => Kernel::FullyConnectedI8W4(p),
        }
    }

    fn constant(value: i64) -> i32 {
        value as i32
    }
}

impl Integer for i16 {
    const WIDE: bool = true;

    shared! { i16, I16, to_i16s, MatMulI16 AddI16 MulI16 AveragePoolI16 MaxPoolI16(MaxPoolI16) ClampI16(ClampI16) Fill16(Fill16) }

    fn conv2d(p: rt::Conv2d<i16>, form: Form) -> Kernel {
        match form {
            Form::Narrow => Kernel::Conv2dI16(p),
            Form::Wide => Kernel::Conv2dI16Wide(p),
            Form::Int4 => Kernel::Conv2dI16W4(p),
        }
    }

    fn depthwise(p: rt::DepthwiseConv2d<i16>, form: Form) -> Kernel {
        match form {
            Form::Narrow => Kernel::DepthwiseConv2dI16(p),
            Form::Wide => Kernel::DepthwiseConv2dI16Wide(p),
            Form::Int4 => Kernel::DepthwiseConv2dI16W4(p),
        }
    }

    fn dense(p: rt::FullyConnected<i16>, form: Form) -> Kernel {
        match form {
            Form::Narrow => Kernel::FullyConnectedI16(p),
            Form::Wide => Kernel::FullyConnectedI16Wide(p),
            Form::Int4 => Kernel::FullyConnectedI16W4(p),
        }
    }

    fn constant(value: i64) -> i64 {
        value
    }
}
