//! Weights in the order in which both directions read them.

use super::product::RightSide;
use super::sizes::SequenceSizes;
use crate::engine::isa::Isa;

/// One layer.
#[derive(Default)]
pub(super) struct PackedLayer {
    /// From the input to reset, update, new.
    pub of_input: RightSide,
    /// From the state to reset, update, new.
    pub of_state: RightSide,
    /// From derivatives of new, reset, update to that of the input.
    pub to_input: RightSide,
    /// From derivatives of reset, update, new's product to that of the state.
    pub to_state: RightSide,
}

/// All layers.
#[derive(Default)]
pub(super) struct PackedWeights {
    pub layers: Vec<PackedLayer>,
    turned: Vec<f32>,
}

impl PackedWeights {
    pub(super) fn pack(&mut self, isa: Isa, sizes: &SequenceSizes, parameters: &[f32]) {
        self.layers.resize_with(sizes.layers, PackedLayer::default);
        let hidden = sizes.hidden;
        for (index, packed) in self.layers.iter_mut().enumerate() {
            let layer = sizes.layer(index);
            let (of_input, of_state) =
                (&parameters[layer.weight_ih.clone()], &parameters[layer.weight_hh.clone()]);
            packed.of_input.pack_transposed(isa, of_input, layer.inputs);
            packed.of_state.pack_transposed(isa, of_state, hidden);
            packed.to_state.pack(isa, of_state, hidden, hidden);
            if index > 0 {
                let (others, new) = of_input.split_at(2 * hidden * layer.inputs);
                self.turned.clear();
                self.turned.extend_from_slice(new);
                self.turned.extend_from_slice(others);
                packed.to_input.pack(isa, &self.turned, layer.inputs, layer.inputs);
            }
        }
    }
}
