//! What a network predicts, on its way to the caller.

use crate::layers::feature_scaling::FeatureScaling;
use crate::policy::PredictError;
use crate::preprocessing::check_finite;
use crate::trace::Trace;

/// The actions of a chunk.
pub(crate) struct Outputs {
    /// Actions in a chunk.
    pub chunk_size: usize,
    /// Values of an action.
    pub action_size: usize,
    /// From the checkpoint's own units to what the network predicts.
    pub scaling: FeatureScaling,
}

impl Outputs {
    /// Refuses room for more or less than a chunk.
    pub(crate) fn check(&self, actions: &[f32]) -> Result<(), PredictError> {
        let (needed, got) = (self.chunk_size * self.action_size, actions.len());
        if got == needed {
            return Ok(());
        }
        Err(PredictError::Size { feature: "action".to_owned(), needed, got })
    }

    /// Turns normalised actions into the checkpoint's own units, which must be finite.
    pub(crate) fn restore(
        &self,
        actions: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let shape = [1, self.chunk_size, self.action_size];
        if let Some(trace) = trace.as_deref_mut() {
            trace.record("out.action_chunk_normalized", &shape, actions);
        }
        for action in actions.chunks_exact_mut(self.action_size) {
            for (index, value) in action.iter_mut().enumerate() {
                *value = self.scaling.restore(index, *value);
            }
        }
        self.finish(actions, trace)
    }

    /// Checks actions in the checkpoint's own units.
    pub(crate) fn finish(
        &self,
        actions: &[f32],
        trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        check_finite("action", actions)?;
        if let Some(trace) = trace {
            trace.record("out.action_chunk", &[1, self.chunk_size, self.action_size], actions);
        }
        Ok(())
    }
}
