//! Activation functions of dense layers.

/// An activation function as PyTorch defines it, with its default parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x` where it is positive, `exp(x) - 1` elsewhere.
    Elu,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`, the exact form.
    Gelu,
}
