use super::*;

const SCRIPT: &str = "\
C2 Compiler 7 5647.5: 10101010 cpu-clock:ppp:
\t  1 work+0x1 (/lib/jvm)

tokio-rt-worker 10 5647.6: 10101010 cpu-clock:ppp:
\tffff copy+0x22d ([kernel.kallsyms])
\t aaa <thalweg_wire::A as B>::read+0x1 (/bin/thalweg)
\t 891 start_thread+0x304 (/usr/lib/libc.so.6)

tokio-rt-worker 11 5647.7: 10101010 cpu-clock:ppp:
\t 891 start_thread+0x304 (/usr/lib/libc.so.6)
";

#[test]
fn samples_are_summed_by_path_from_the_outermost_frame_in() {
    let root = fold(SCRIPT);
    assert_eq!(root.count, 3);
    let worker = &root.calls["tokio-rt-worker"];
    assert_eq!(worker.count, 2);
    let read = &worker.calls["start_thread"].calls["<thalweg_wire::A as B>::read"];
    assert_eq!((read.count, read.calls["copy"].count), (1, 1));
    assert_eq!(root.calls["C2 Compiler"].calls["work"].count, 1);
}

#[test]
fn every_wide_frame_is_drawn_with_its_share() {
    let drawn = draw(&fold(SCRIPT), "a <title>");
    assert!(drawn.contains("tokio-rt-worker: 66.7 %") && drawn.contains("a &lt;title&gt;"));
    assert_eq!(drawn.matches("<rect x=").count(), 6);
}

#[test]
fn output_without_samples_draws_an_empty_picture() {
    assert!(draw(&fold("no\n"), "t").contains("samples"));
    assert_eq!(fold("").count, 0);
}
