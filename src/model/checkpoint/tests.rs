//! Checkpoints put together byte by byte, as `torch.save` writes them, and as nobody should.

mod hostile;

use std::io::Cursor;

use super::*;

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// An entry of an archive, and what the archive tells of it.
#[derive(Clone)]
struct Entry {
    name: String,
    bytes: Vec<u8>,
    crc: u32,
    size: u32,
    method: u16,
    flags: u16,
    mode: u32,
}

fn file(name: &str, bytes: &[u8]) -> Entry {
    let (crc, size) = (crc32(bytes), bytes.len() as u32);
    Entry { name: name.to_owned(), bytes: bytes.to_vec(), crc, size, method: 0, flags: 0, mode: 0o100_644 }
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = out.len() as u32;
        let mut common = [20, entry.flags, entry.method, 0, 0x21].map(u16::to_le_bytes).concat();
        common.extend([entry.crc, entry.bytes.len() as u32, entry.size].map(u32::to_le_bytes).concat());
        common.extend([entry.name.len() as u16, 0].map(u16::to_le_bytes).concat());
        out.extend([b"PK\x03\x04", common.as_slice(), entry.name.as_bytes(), &entry.bytes].concat());
        directory.extend([b"PK\x01\x02\x14\x03".as_slice(), &common, &[0; 6]].concat());
        directory.extend([entry.mode << 16, at].map(u32::to_le_bytes).concat());
        directory.extend(entry.name.as_bytes());
    }
    let count = entries.len() as u16;
    let end = [directory.len() as u32, out.len() as u32].map(u32::to_le_bytes).concat();
    let counts = [0, 0, count, count].map(u16::to_le_bytes).concat();
    [out, directory, b"PK\x05\x06".to_vec(), counts, end, vec![0, 0]].concat()
}

fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut entries = vec![file("archive/data.pkl", pickle), file("archive/byteorder", b"little")];
    entries.extend(storages.iter().map(|(key, bytes)| file(&format!("archive/data/{key}"), bytes)));
    zip(&entries)
}

fn read(bytes: Vec<u8>) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_reader(Cursor::new(bytes))
}

fn open(value: &[u8], storages: &[(&str, &[u8])]) -> Result<Checkpoint, CheckpointError> {
    read(archive(&finish(value), storages))
}

fn finish(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X", (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn int(number: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &number.to_le_bytes()].concat()
}

fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"(", parts.concat().as_slice(), b"t"].concat()
}

fn list(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"](", parts.concat().as_slice(), b"e"].concat()
}

fn entries(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"(", pairs.concat().as_slice(), b"u"].concat()
}

fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    [b"}".to_vec(), entries(pairs)].concat()
}

fn global(name: &str) -> Vec<u8> {
    let (module, name) = name.rsplit_once('.').unwrap();
    format!("c{module}\n{name}\n").into_bytes()
}

fn call(function: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    [global(function), tuple(arguments), b"R".to_vec()].concat()
}

fn storage(class: &str, key: &str) -> Vec<u8> {
    let class = global(&format!("torch.{class}"));
    [tuple(&[text("storage"), class, text(key), text("cpu"), int(0)]), b"Q".to_vec()].concat()
}

fn layout(class: &str, key: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<Vec<u8>> {
    let numbers = |numbers: &[i64]| tuple(&numbers.iter().map(|number| int(*number)).collect::<Vec<_>>());
    let hooks = call("collections.OrderedDict", &[]);
    vec![storage(class, key), int(offset), numbers(shape), numbers(strides), b"\x89".to_vec(), hooks]
}

fn tensor(class: &str, key: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    call("torch._utils._rebuild_tensor_v2", &layout(class, key, offset, shape, strides))
}

fn floats(numbers: impl IntoIterator<Item = u16>) -> Vec<u8> {
    numbers.into_iter().flat_map(|number| f32::from(number).to_le_bytes()).collect()
}

fn values(checkpoint: &Checkpoint, value: Value<'_>) -> Vec<f32> {
    checkpoint.read_f32(&value.tensor().unwrap()).unwrap()
}

#[track_caller]
fn refuses<T: std::fmt::Debug>(result: Result<T, CheckpointError>, words: &str) {
    let error = result.expect_err(words).to_string();
    assert!(error.contains(words), "{error:?} does not say {words:?}");
    assert!(error.len() < 1000, "{} bytes of message", error.len());
}

/// A value in words, four levels deep.
fn describe(value: Value<'_>, depth: usize) -> String {
    let simple = value.as_bool().map(|flag| flag.to_string()).or(value.as_i64().map(|number| number.to_string()));
    let simple = simple.or(value.as_f64().map(|number| number.to_string())).or(value.as_str().map(str::to_owned));
    simple.unwrap_or_else(|| {
        let mut words = vec![value.kind_name()];
        if depth < 4 {
            words.extend(value.items().map(|item| describe(item, depth + 1)));
            let entry = |(key, value)| format!("{}={}", describe(key, depth + 1), describe(value, depth + 1));
            words.extend(value.entries().map(entry));
        }
        words.join(" ")
    })
}

#[test]
fn every_opcode_makes_its_value() {
    let large = b"\x8a\x09\0\0\0\0\0\0\0\0\x01";
    #[rustfmt::skip]
    let known: &[(&[u8], &str)] = &[
        (b"N", "nothing"), (b"\x88", "true"), (b"\x89", "false"), (b"I01\n", "true"), (b"I00\n", "false"),
        (b"I-5\n", "-5"), (b"L7L\n", "7"), (b"J\xff\xff\xff\xff", "-1"), (b"K\xff", "255"), (b"M\x01\x01", "257"),
        (b"\x8a\x01\xff", "-1"), (b"\x8a\0", "0"), (b"\x8b\x02\0\0\0\0\x01", "256"), (large, "an integer"),
        (b"I99999999999999999999\n", "an integer"), (b"F1.5\n", "1.5"), (b"G\x3f\xf8\0\0\0\0\0\0", "1.5"),
        (b"S'a'\n", "a"), (b"Vb\n", "b"), (b"T\x01\0\0\0a", "a"), (b"U\x01a", "a"), (b"X\x02\0\0\0\xc3\xa5", "å"),
        (b"\x8c\x01a", "a"), (b"\x8d\x01\0\0\0\0\0\0\0a", "a"), (b"X\x01\0\0\0\xff", "\u{fffd}"),
        (b"B\x01\0\0\0a", "bytes"), (b"C\x01a", "bytes"), (b"\x8e\x01\0\0\0\0\0\0\0a", "bytes"),
        (b"\x96\x01\0\0\0\0\0\0\0a", "bytes"), (b")", "a tuple"), (b"]", "a list"), (b"}", "a dictionary"),
        (b"\x8f", "a set"), (b"(K\x01K\x02t", "a tuple 1 2"), (b"(K\x01l", "a list 1"),
        (b"(K\x01K\x02d", "a dictionary 1=2"), (b"(K\x01\x91", "a set 1"), (b"K\x01\x85", "a tuple 1"),
        (b"K\x01K\x02\x86", "a tuple 1 2"), (b"K\x01K\x02K\x03\x87", "a tuple 1 2 3"), (b"]K\x01a", "a list 1"),
        (b"](K\x01K\x02e", "a list 1 2"), (b"\x8f(K\x01\x90", "a set 1"), (b"}K\x01K\x02s", "a dictionary 1=2"),
        (b"}(K\x01K\x02K\x03K\x04u", "a dictionary 1=2 3=4"), (b"K\x05p300\n0g300\n", "5"),
        (b"K\x05q\x010h\x01", "5"), (b"K\x05r\0\x01\0\x000j\0\x01\0\0", "5"), (b"K\x05\x940h\0", "5"),
        (b"]q\0h\0a", "a list a list a list a list a list"), (b"K\x01(K\x021", "1"), (b"K\x01(0", "1"),
        (b"K\x012\x86", "a tuple 1 1"), (b"ca\nb\n", "a.b"), (b"\x8c\x01a\x8c\x01b\x93", "a.b"),
        (b"ca\nb\n)R", "a.b(\u{2026})"), (b"ca\nb\n)\x81", "a.b(\u{2026})"), (b"ca\nb\n)}\x92", "a.b(\u{2026})"),
        (b"(ca\nb\nK\x01o", "a.b(\u{2026})"), (b"(K\x01ia\nb\n", "a.b(\u{2026})"),
        (b"ca\nb\n)R}Vk\nK\x01sb", "a.b(\u{2026}) k=1"), (b"ca\nb\n)RK\x01a(K\x02e", "a.b(\u{2026}) 1 2"),
        (b"ca\nb\n)RVk\nK\x01s", "a.b(\u{2026}) k=1"), (b"ca\nb\n)RN}Vk\nK\x01s\x86b", "a.b(\u{2026}) k=1"),
        (b"Pkey\n", "a storage"), (b"K\x01Q", "a storage"), (b"\x80\x04\x95\x02\0\0\0\0\0\0\0K\x01", "1"),
    ];
    for (value, expected) in known {
        assert_eq!(describe(open(value, &[]).unwrap().root(), 0), *expected, "{:?}", value.escape_ascii().to_string());
    }
}

#[test]
fn every_type_is_read() {
    let floats: &[(&str, Vec<u8>)] = &[
        ("DoubleStorage", [1.0, -2.5, 8.0].map(f64::to_le_bytes).concat()),
        ("FloatStorage", [1.0, -2.5, 8.0].map(f32::to_le_bytes).concat()),
        ("HalfStorage", [1.0, -2.5, 8.0].map(|x| half::f16::from_f32(x).to_le_bytes()).concat()),
        ("BFloat16Storage", [1.0, -2.5, 8.0].map(|x| half::bf16::from_f32(x).to_le_bytes()).concat()),
    ];
    for (class, bytes) in floats {
        let checkpoint = open(&tensor(class, "0", 0, &[3], &[1]), &[("0", bytes)]).unwrap();
        assert_eq!(values(&checkpoint, checkpoint.root()), [1.0, -2.5, 8.0], "{class}");
        refuses(checkpoint.read_i64(&checkpoint.root().tensor().unwrap()), "expected integers");
    }
    let integers: &[(&str, Vec<u8>, [i64; 3])] = &[
        ("LongStorage", [i64::MIN, -1, 3].map(i64::to_le_bytes).concat(), [i64::MIN, -1, 3]),
        ("IntStorage", [i32::MIN, -1, 3].map(i32::to_le_bytes).concat(), [i64::from(i32::MIN), -1, 3]),
        ("ShortStorage", [-300i16, -1, 3].map(i16::to_le_bytes).concat(), [-300, -1, 3]),
        ("CharStorage", vec![0x80, 0xff, 3], [-128, -1, 3]),
        ("ByteStorage", vec![0x80, 0xff, 3], [128, 255, 3]),
        ("BoolStorage", vec![1, 0, 1], [1, 0, 1]),
    ];
    for (class, bytes, expected) in integers {
        let checkpoint = open(&tensor(class, "0", 0, &[3], &[1]), &[("0", bytes)]).unwrap();
        assert_eq!(checkpoint.read_i64(&checkpoint.root().tensor().unwrap()).unwrap(), expected, "{class}");
        assert_eq!(values(&checkpoint, checkpoint.root()), expected.map(|x| x as f32), "{class}");
    }
}

/// Offset, shape, strides, elements.
type View = (i64, &'static [i64], &'static [i64], &'static [f32]);

#[test]
fn views_are_read_in_row_major_order() {
    let bytes = floats(0..12);
    let known: &[View] = &[
        (0, &[2, 3], &[3, 1], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        (4, &[2, 2], &[2, 1], &[4.0, 5.0, 6.0, 7.0]),
        (0, &[3, 2], &[1, 3], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        (1, &[2, 3], &[6, 2], &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0]),
        (2, &[2, 2, 2], &[0, 1, 0], &[2.0, 2.0, 3.0, 3.0, 2.0, 2.0, 3.0, 3.0]),
        (11, &[], &[], &[11.0]),
        (7, &[1, 1], &[100, 50], &[7.0]),
        (99, &[0], &[1], &[]),
        (0, &[0, 1 << 40, 1 << 40], &[1, 1 << 40, 1], &[]),
    ];
    for (offset, shape, strides, expected) in known {
        let checkpoint = open(&tensor("FloatStorage", "0", *offset, shape, strides), &[("0", &bytes)]).unwrap();
        assert_eq!(values(&checkpoint, checkpoint.root()), *expected, "{offset} {shape:?} {strides:?}");
        assert_eq!(checkpoint.root().tensor().unwrap().elements(), expected.len());
    }
}

#[test]
fn tensors_are_found_however_they_are_wrapped() {
    let arguments = layout("FloatStorage", "0", 1, &[2], &[1]);
    let bare = call("torch._utils._rebuild_tensor_v2", &arguments);
    let hooks = call("collections.OrderedDict", &[]);
    let flag = b"\x88".to_vec();
    let parameter = call("torch._utils._rebuild_parameter", &[bare.clone(), flag.clone(), hooks.clone()]);
    let stateful = call("torch._utils._rebuild_parameter_with_state", &[bare.clone(), flag.clone(), hooks, dict(&[])]);
    let function = global("torch._utils._rebuild_tensor_v2");
    let subclass = [function, global("mine.Sub"), tuple(&arguments), dict(&[])];
    let mut typed = layout("UntypedStorage", "0", 1, &[2], &[1]);
    typed.push(global("torch.float32"));
    let wrapped = [
        bare.clone(),
        parameter.clone(),
        stateful,
        call("torch._tensor._rebuild_from_type_v2", &subclass),
        call("torch._utils._rebuild_tensor_v3", &typed),
        call("torch._utils._rebuild_tensor", &arguments[..4]),
    ];
    let storages: &[(&str, &[u8])] = &[("0", &floats(0..4))];
    for value in &wrapped {
        let checkpoint = open(value, storages).unwrap();
        assert_eq!(values(&checkpoint, checkpoint.root()), [1.0, 2.0]);
    }
    let checkpoint = open(&list(&wrapped), storages).unwrap();
    assert!(checkpoint.root().items().all(|value| values(&checkpoint, value) == [1.0, 2.0]));

    // a Lightning checkpoint: an OrderedDict, and a Namespace as its hyperparameters
    let ordered =
        [call("collections.OrderedDict", &[]), entries(&[("a.weight", bare), ("a.bias", parameter)])].concat();
    let namespace = [global("argparse.Namespace"), b")\x81".to_vec(), dict(&[("hidden", int(64))]), b"b".to_vec()];
    let value = dict(&[("epoch", int(3)), ("state_dict", ordered), ("hyper_parameters", namespace.concat())]);
    for folder in ["archive/", "", "last.ckpt/", "a/b/"] {
        let pickle = file(&format!("{folder}data.pkl"), &finish(&value));
        let checkpoint = read(zip(&[pickle, file(&format!("{folder}data/0"), storages[0].1)])).unwrap();
        let root = checkpoint.root();
        let names: Vec<_> = root.get("state_dict").unwrap().entries().filter_map(|(key, _)| key.as_str()).collect();
        assert_eq!(names, ["a.weight", "a.bias"]);
        let weight = root.get("state_dict").and_then(|state| state.get("a.weight")).unwrap();
        assert_eq!(values(&checkpoint, weight), [1.0, 2.0]);
        let parameters = root.get("hyper_parameters").unwrap();
        assert_eq!(parameters.class_name(), Some("argparse.Namespace"));
        assert_eq!(parameters.get("hidden").and_then(Value::as_i64), Some(64));
        assert!(root.get("epoch").unwrap().tensor().is_none());
    }
}
