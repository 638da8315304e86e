//! The tables and figures that a run leaves.

use super::evaluation::{Evaluation, NETWORK};
use super::metrics::Metrics;
use super::settings::{Mode, Settings};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub fn named(metrics: &Metrics) -> [(&'static str, f64); 4] {
    [("mse", metrics.mse), ("rmse", metrics.rmse), ("mae", metrics.mae), ("r2", metrics.r2)]
}

/// Averages over folds, of every model.
pub fn averages(evaluations: &[Evaluation]) -> serde_json::Map<String, Value> {
    let mut averages = serde_json::Map::new();
    for model in &evaluations[0].models {
        let average = average(evaluations, &model.name);
        let values = named(&average).into_iter();
        let values = values.map(|(name, value)| (format!("avg_{name}"), json!(value)));
        averages.insert(model.name.clone(), Value::Object(values.collect()));
    }
    averages
}

pub fn average(evaluations: &[Evaluation], name: &str) -> Metrics {
    let all: Vec<Metrics> =
        evaluations.iter().filter_map(|it| it.model(name)).map(|model| model.all).collect();
    Metrics::average(&all)
}

/// `comparison.csv`.
pub fn comparison(evaluations: &[Evaluation]) -> String {
    let mut text = "fold,model,group,samples,mse,rmse,mae,r2,step_us\n".to_owned();
    for evaluation in evaluations {
        let fold = evaluation.fold.as_deref().unwrap_or("all");
        for model in &evaluation.models {
            let all = std::iter::once(("all", &model.all));
            let groups = model.groups.iter().map(|(id, metrics)| (id.as_str(), metrics));
            for (group, it) in all.chain(groups) {
                let step = model.step_us.map_or_else(String::new, |step| step.to_string());
                let _ = writeln!(
                    text,
                    "{fold},\"{}\",{group},{},{},{},{},{},{step}",
                    model.name, it.samples, it.mse, it.rmse, it.mae, it.r2
                );
            }
        }
    }
    text
}

/// The tables that people read.
pub fn summary(evaluations: &[Evaluation], settings: &Settings) -> String {
    let mut text = String::new();
    for evaluation in evaluations {
        let what = match &evaluation.fold {
            Some(id) => format!("tested on {id}, which was left out"),
            None => format!("tested on {} windows", evaluation.test_windows),
        };
        let _ = writeln!(text, "{what} (split: {})", evaluation.split);
        if let Some(leak) = &evaluation.leak {
            let _ = writeln!(text, "{leak}");
        }
        text += &evaluation.table();
        text.push('\n');
    }
    if settings.mode == Mode::Lomo {
        let average = average(evaluations, NETWORK);
        let _ = writeln!(
            text,
            "average over folds: avg_rmse {:.5} N·m, avg_mae {:.5} N·m, avg_r2 {:.4}",
            average.rmse, average.mae, average.r2
        );
    }
    text
}
