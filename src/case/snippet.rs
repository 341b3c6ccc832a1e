//! Shows a problem at its place in a case file, in the manner of a compiler.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::source::Source;

/// Something wrong with a case file.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The file.
    pub source: Arc<Source>,
    /// Where in it, in bytes.
    pub span: Range<usize>,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// What to do, if that is known.
    pub help: Option<String>,
}

/// The problem with file, line, column and underlined source.
pub fn render(problem: &Problem, color: bool) -> String {
    let length = problem.source.text.len();
    let start = problem.span.start.min(length);
    let span = start..problem.span.end.clamp(start, length);
    let snippet = Snippet::source(&problem.source.text)
        .path(&problem.source.name)
        .annotation(AnnotationKind::Primary.span(span));
    let mut group = Level::ERROR.primary_title(&problem.message).element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    format!("{}\n", renderer.render(&[group]))
}
