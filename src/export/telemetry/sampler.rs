//! The default sampler, which keeps the trace of a large fleet's collection small
//! enough to read.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

/// The name of the spans that are sampled.
pub const TARGET: &str = "target";

/// Keeps all spans except those of targets. Of a trace's targets it keeps a share, each
/// with its child spans. Each trace keeps a different share.
#[derive(Debug, Clone)]
pub struct TargetSampler {
    /// A target is kept if its hash is below this value.
    below: u128,
}

impl TargetSampler {
    /// Keeps `kept` of `all` targets on average.
    pub fn new(kept: u32, all: usize) -> TargetSampler {
        let all = u128::try_from(all).unwrap_or(u128::MAX).max(1);
        TargetSampler { below: (u128::from(kept) << 64) / all }
    }

    fn keeps(&self, trace: TraceId, target: &[KeyValue]) -> bool {
        let mut hasher = DefaultHasher::new();
        trace.hash(&mut hasher);
        for attribute in target {
            (attribute.key.as_str(), attribute.value.as_str()).hash(&mut hasher);
        }
        u128::from(hasher.finish()) < self.below
    }
}

impl ShouldSample for TargetSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        _kind: &SpanKind,
        attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let parent = parent_context.filter(|context| context.has_active_span());
        let is_dropped =
            parent.is_some_and(|context| !context.span().span_context().trace_flags().is_sampled());
        let is_kept = !is_dropped && (name != TARGET || self.keeps(trace_id, attributes));
        let decision = if is_kept { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    fn kept(
        sampler: &TargetSampler,
        name: &str,
        parent: Option<TraceFlags>,
        trace: u128,
        target: i64,
    ) -> bool {
        let trace = TraceId::from(trace);
        let parent = parent.map(|flags| {
            let span = SpanContext::new(trace, SpanId::from(1), flags, false, TraceState::default());
            Context::new().with_remote_span_context(span)
        });
        let attributes = [KeyValue::new("server.port", target)];
        let result =
            sampler.should_sample(parent.as_ref(), trace, name, &SpanKind::Internal, &attributes, &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_fleet_keeps_about_as_many_targets_as_it_may_and_others_in_each_trace() {
        let sampler = TargetSampler::new(100, 10_000);
        let chosen = |trace| -> Vec<i64> {
            (0..10_000).filter(|i| kept(&sampler, TARGET, Some(TraceFlags::SAMPLED), trace, *i)).collect()
        };
        let (first, second) = (chosen(1), chosen(2));
        // Five standard deviations.
        assert!((50..150).contains(&first.len()) && (50..150).contains(&second.len()), "{}", first.len());
        assert_ne!(first, second);
        assert_eq!(first, chosen(1), "nothing but the trace and the target decides");
    }

    #[test]
    fn few_targets_are_all_kept() {
        for all in [0, 1, 99, 100] {
            let sampler = TargetSampler::new(100, all);
            assert!((0..100).all(|i| kept(&sampler, TARGET, Some(TraceFlags::SAMPLED), 7, i)), "{all}");
        }
    }

    #[test]
    fn what_is_below_a_target_goes_with_it_and_other_spans_are_kept() {
        let none = TargetSampler::new(0, 1);
        for (name, parent, expected) in [
            ("collection", None, true),
            ("push", None, true),
            (TARGET, Some(TraceFlags::SAMPLED), false),
            ("endpoint", Some(TraceFlags::SAMPLED), true),
            ("endpoint", Some(TraceFlags::default()), false),
        ] {
            assert_eq!(kept(&none, name, parent, 7, 0), expected, "{name}");
        }
    }
}
