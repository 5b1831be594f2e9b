//! Templates for records, in the notation of `rpk topic consume -f` and `produce -f` (a superset of kcat's).
//!
//! A template is text with escapes (`\n`, `\t`, `\xNN`) and percent verbs (`%k`, `%v{hex}`). [`OutputTemplate`] renders a
//! record, [`InputTemplate`] cuts records out of a stream. Both are parsed once and refuse what they do not know, with the
//! place in the text.

mod input;
mod number;
mod output;
mod scanner;
mod text;
mod timestamp;

pub use input::{InputRecord, InputTemplate};
pub use output::{FormatRecord, OutputTemplate};

/// The verbs of output templates, for `--help`.
pub const OUTPUT_HELP: &str = "\
FORMAT (-f)
  json prints one JSON object for each record. Anything else is a template:
    %t topic        %p partition     %o offset        %e leader epoch
    %k key          %v value         %h headers as k=v,k=v; %h{...} each by an inner template of %k and %v
    %T %K %V        length of topic, key, value       %H number of headers
    %d timestamp    %x producer id   %y producer epoch
    %[ %| %]        partition's log start offset, last stable offset, high watermark
    %a{compression|timestamp-type|transactional-bit|control-bit}
    %i number of the record, from 1                   %% %{ %} the characters themselves
    \\n \\t \\r \\\\ \\xNN escapes
  Text takes {hex} {base64} {base64raw} {unpack[>iqs$]}; numbers take {ascii} {bool} {byte}
  {hex4..hex64} {big8..big64} {little8..little64}; %d also {strftime[%F %T]} and {go[2006-01-02]}.

OFFSETS (-o)
    start, end      the first kept, the one the next record gets
    +N, -N          N after the start, N before the end
    N, N:, N:M      from N; from N up to M, M not included
    :N, :end        from the start up to N, up to the present end
    @T, @T1:T2      by time: 13 digits (ms), 10 digits (s), 2026-11-20, 2026-11-20T08:00:00Z, -1h30m, end";

/// The verbs of input templates, for `--help`.
pub const INPUT_HELP: &str = "\
FORMAT (-f)
  The input is cut by a template, again and again until its end. The default '%v\\n' makes each line a value.
    %k key   %v value   %t topic   %p partition   %d timestamp (ms)   %h{...} headers, with %H before
    %K %V %T %H         size of what follows, as {ascii} digits, {big32}, {3} exactly three bytes, ...
    %k{hex} %v{base64} %v{json}   decode the text
  A field without a size ends where the text after it in the template begins.
    -f '%k %v\\n'                  key and value separated by a blank
    -f '%K{big16}%k%V{big32}%v'   binary, with sizes
    -f '%k\\t%H{1}%h{%k=%v}\\t%v\\n' one header between tabs";

#[cfg(test)]
#[path = "format_test.rs"]
mod tests;
