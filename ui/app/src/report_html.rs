//! The report's page as the frame of the preview takes it: style and document apart.

/// Takes the style sheets out of a document: (their text, the document without them). The frame may not
/// apply a sheet that stands within the document, and is given it apart.
#[must_use]
pub fn split_style(html: &str) -> (String, String) {
    const OPEN: &str = "<style>";
    const CLOSE: &str = "</style>";
    let (mut style, mut document) = (String::new(), String::with_capacity(html.len()));
    let mut rest = html;
    while let Some((before, after)) = rest.split_once(OPEN) {
        document.push_str(before);
        let Some((sheet, remaining)) = after.split_once(CLOSE) else {
            // Never closed: what a browser would take for style is no text to show.
            return (style + after, document);
        };
        style.push_str(sheet);
        rest = remaining;
    }
    document.push_str(rest);
    (style, document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_document_come_apart() {
        let (style, document) = split_style("<head><style>p{color:red}</style></head><p>a</p>");
        assert_eq!(style, "p{color:red}");
        assert_eq!(document, "<head></head><p>a</p>");
    }

    #[test]
    fn documents_without_style_or_with_a_torn_one_are_taken() {
        assert_eq!(
            split_style("<p>a</p>"),
            (String::new(), "<p>a</p>".to_owned())
        );
        assert_eq!(
            split_style("<p>a</p><style>x"),
            ("x".to_owned(), "<p>a</p>".to_owned())
        );
    }
}
