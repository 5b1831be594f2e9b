use super::*;

#[test]
fn generation_never_becomes_negative() {
    assert_eq!(GenerationId(0).next(), GenerationId(1));
    assert_eq!(GenerationId(i32::MAX).next(), GenerationId(1));
    assert_eq!(GenerationId(-7).next(), GenerationId(1));
}

#[test]
fn uuid_text_marks_version_4() {
    assert_eq!(uuid_text([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(uuid_text([0; 16]), "00000000-0000-4000-8000-000000000000");
}
