//! Checkpoints made to harm, and damaged ones: each is refused in words, soon, and in little memory.

use std::time::{Duration, Instant};

use super::*;

/// Looks at no more than so many values, and reads the small tensors among them.
fn walk(checkpoint: &Checkpoint, most: usize) -> usize {
    let (mut due, mut seen) = (vec![checkpoint.root()], 0);
    while let Some(value) = due.pop().filter(|_| seen < most) {
        seen += 1;
        if let Some(tensor) = value.tensor().filter(|tensor| tensor.elements() < 10_000) {
            let _ = (checkpoint.read_f32(&tensor), checkpoint.read_i64(&tensor));
        }
        let _ = (value.kind_name(), value.class_name(), value.get("weight"));
        due.extend(value.items().take(most));
        due.extend(value.entries().take(most).flat_map(|(key, value)| [key, value]));
    }
    seen
}

#[test]
fn nothing_is_ever_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ran");
    let command = text(&format!("touch {}", path.display()));
    let argument = tuple(std::slice::from_ref(&command));
    for name in ["os.system", "posix.system", "subprocess.Popen", "builtins.eval", "__builtin__.exec", "torch.load"] {
        let (module, function) = name.rsplit_once('.').unwrap();
        let stacked = [text(module), text(function), b"\x93".to_vec()].concat();
        let instance = format!("i{module}\n{function}\n").into_bytes();
        for pickle in [
            call(name, std::slice::from_ref(&command)),
            [global(name), argument.clone(), b"\x81".to_vec()].concat(),
            [global(name), argument.clone(), b"}\x92".to_vec()].concat(),
            [stacked, argument.clone(), b"R".to_vec()].concat(),
            [b"(".to_vec(), global(name), command.clone(), b"o".to_vec()].concat(),
            [b"(".to_vec(), command.clone(), instance].concat(),
        ] {
            refuses(open(&pickle, &[]), &format!("wants {name} called"));
            refuses(Checkpoint::salvage(Cursor::new(archive(&finish(&pickle), &[]))), "made to harm");
        }
        // named only, or reached through another function: a value like any other
        let getter = call("builtins.getattr", &[global(name), text("__call__")]);
        for pickle in [global(name), [getter, argument.clone(), b"R".to_vec()].concat()] {
            assert!(open(&pickle, &[]).unwrap().root().tensor().is_none());
        }
    }
    assert!(!path.exists());
}

#[test]
fn hostile_pickles_are_refused_in_words() {
    let names = [text(&"m".repeat(400)), b"q\0".to_vec(), b"h\0h\0\x930".repeat(30_000)].concat();
    let twice = [text(&"m".repeat(900)), b"q\0h\0\x93".to_vec()].concat();
    #[rustfmt::skip]
    let known: &[(&[u8], &str)] = &[
        (b"X\xff\xff\xff\xffa", "4294967295 bytes wanted where 2 are left"), (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "bytes wanted"),
        (b"\x8b\xff\xff\xff\x7f\0", "bytes wanted where"), (b"\x96\0\0\0\0\0\0\0\x80", "bytes wanted where"),
        (b"\x95\xff\xff\xff\xff\xff\xff\xff\xff", "nothing on the stack"), (b"", "nothing on the stack"),
        (b"R", "nothing on the stack"), (b"(a", "nothing on the stack"), (b"K\x01\x87", "nothing on the stack"),
        (b"K\x01(R", "nothing on the stack"), (b"q\0", "nothing on the stack"), (b"(", "nothing on the stack"),
        (b"t", "no mark"), (b"]e", "no mark"), (b"1", "no mark"), (b"K\x01(00(0t", "no mark"),
        (b"(K\x01d", "a key without a value"), (b"}(K\x01u", "a key without a value"), (b"(o", "without a class"),
        (b"K\x01K\x01a", "items added to what has none"), (b"K\x01K\x01K\x01s", "entries added to what has none"),
        (b"h\x07", "no memo entry 7"), (b"g-1\n", "expected a memo entry"), (b"Np4294967296\n", "memo entry 4294967296"),
        (b"N\x82\x01", "extension code"), (b"N\x83\x01\0", "extension code"), (b"N\x84\x01\0\0\0", "extension code"),
        (b"N\x97", "outside the pickle"), (b"N\x98", "outside the pickle"), (b"\xff", "0xff, which no protocol has"),
        (b"Fx\n", "expected a number"), (b"cos\xff\nsystem\n", "not text"), (b"cos", "a line without an end"),
        (b"K\x01K\x02\x93", "name is no text"), (&[&b"Np"[..], &[b'9'; 5000], b"\n"].concat(), "expected a memo entry"),
        (&[&b"c"[..], &[b'm'; 5000], b"\nn\n"].concat(), "a name of 5001 bytes"), (&twice, "a name of 1800 bytes"),
        (&names, "with those before"), (&[&b"N"[..], &vec![0x94; 4_000_001]].concat(), "more than 4000000 memo entries"),
        (&vec![b'N'; 4_000_001], "more than 4000000 values"), (&vec![b'('; 4_000_001], "more than 4000000 marks"),
        (&[&b"N"[..], &vec![b'2'; 4_000_001]].concat(), "a stack of more than 4000000"),
        (&[&b"cos\nsystem"[..], &[b'.'; 2000], b"\n)R"].concat(), "a name of"),
    ];
    for (value, words) in known {
        refuses(open(value, &[]), words);
    }
    refuses(read(archive(b"\x80\x02N", &[])), "1 bytes wanted where 0 are left");
}

#[test]
fn a_pickle_cut_anywhere_is_salvaged_up_to_there() {
    let weight = tensor("FloatStorage", "0", 0, &[2], &[1]);
    let pickle = finish(&dict(&[("a", weight.clone()), ("b", list(&[int(5), text("five")])), ("c", weight)]));
    let mut found = 0;
    for length in 0..pickle.len() {
        let bytes = archive(&pickle[..length], &[("0", &floats([3, 4]))]);
        refuses(read(bytes.clone()), "the pickle is damaged at byte");
        let Ok(checkpoint) = Checkpoint::salvage(Cursor::new(bytes)) else { continue };
        assert!(checkpoint.damage().is_some());
        walk(&checkpoint, 1000);
        if let Some(tensor) = checkpoint.root().get("a").and_then(Value::tensor) {
            assert_eq!(checkpoint.read_f32(&tensor).unwrap(), [3.0, 4.0]);
            found += 1;
        }
    }
    assert!(found > pickle.len() / 3, "{found} of {}", pickle.len());
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let storages: &[(&str, &[u8])] = &[("0", &[1; 16])];
    let known: &[(i64, &[i64], &[i64], &str)] = &[
        (0, &[5], &[1], "reaches byte 20 of storage 0, which has 16"),
        (4, &[1], &[1], "reaches byte 20"),
        (0, &[2, 2], &[3, 1], "reaches byte 20"),
        (0, &[1 << 33, 1 << 33], &[1, 1], "larger than any is"),
        (0, &[i64::MAX, 2], &[0, 0], "larger than any is"),
        (i64::MAX, &[2], &[i64::MAX], "larger than any is"),
        (0, &[3], &[i64::MAX], "larger than any is"),
        (0, &[1 << 33], &[0], "repeats the 4 elements"),
        (0, &[1 << 16, 1 << 16], &[0, 0], "repeats the 4 elements"),
    ];
    for (offset, shape, strides, words) in known {
        let checkpoint = open(&tensor("FloatStorage", "0", *offset, shape, strides), storages).unwrap();
        let tensor = checkpoint.root().tensor().unwrap();
        assert!(tensor.elements() > 0);
        refuses(checkpoint.read_f32(&tensor), words);
    }
    for key in ["1", "../data.pkl/../0", "../../../../etc/passwd", "/etc/passwd", ""] {
        let checkpoint = open(&tensor("FloatStorage", key, 0, &[1], &[1]), storages).unwrap();
        refuses(checkpoint.read_f32(&checkpoint.root().tensor().unwrap()), &format!("archive/data/{key}: "));
    }
}

#[test]
fn what_is_no_tensor_is_none() {
    let own = |storage: &[u8]| {
        let mut arguments = layout("FloatStorage", "0", 0, &[2], &[1]);
        arguments[0] = storage.to_vec();
        call("torch._utils._rebuild_tensor_v2", &arguments)
    };
    let class = global("torch.FloatStorage");
    let id = |parts: &[Vec<u8>]| own(&[tuple(parts), b"Q".to_vec()].concat());
    // its elements have the other sign
    let mut negated = layout("FloatStorage", "0", 0, &[2], &[1]);
    negated.push(dict(&[("neg", b"\x88".to_vec())]));
    let negated = call("torch._utils._rebuild_tensor_v2", &negated);
    let many = [1; 1000];
    let nested = (0..100).fold(b"N".to_vec(), |value, _| call("torch._utils._rebuild_parameter", &[value]));
    let values = [
        tensor("FloatStorage", "0", 0, &[-2], &[1]),
        tensor("FloatStorage", "0", 0, &[2], &[-1]),
        tensor("FloatStorage", "0", -1, &[2], &[1]),
        tensor("FloatStorage", "0", 0, &[2, 2], &[1]),
        tensor("FloatStorage", "0", 0, &many, &many),
        tensor("ComplexFloatStorage", "0", 0, &[2], &[1]),
        tensor("FloatStorage", &"9".repeat(1000), 0, &[2], &[1]),
        negated,
        own(b"N"),
        own(b"Pstorage\n"),
        id(&[]),
        id(&[text("storage"), class.clone()]),
        id(&[text("module"), class.clone(), text("0")]),
        id(&[text("storage"), text("FloatStorage"), text("0")]),
        id(&[text("storage"), class, int(0)]),
        call("torch._utils._rebuild_tensor_v2", &[]),
        call("torch._utils._rebuild_parameter", &[]),
        call("torch._tensor._rebuild_from_type_v2", &[global("os.system"), text("x"), tuple(&[text("y")])]),
        nested,
        // a parameter of itself
        b"ctorch._utils\n_rebuild_parameter\n]q\0Rq\x010h\0h\x01a0h\x01".to_vec(),
        b"N)R".to_vec(),
    ];
    for (number, value) in values.iter().enumerate() {
        let checkpoint = open(value, &[("0", &[0; 8])]).unwrap();
        assert!(checkpoint.root().tensor().is_none(), "value {number}");
        walk(&checkpoint, 1000);
    }
}

/// Deflated bytes that were not compressed: for an archive that tells another size.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    [&[1], length.to_le_bytes().as_slice(), &(!length).to_le_bytes(), bytes].concat()
}

#[test]
fn hostile_archives_are_refused_in_words() {
    let pickle = file("a/data.pkl", &finish(b"N"));
    let packed = Entry { bytes: deflated(&pickle.bytes), method: 8, ..pickle.clone() };
    assert!(read(zip(std::slice::from_ref(&packed))).is_ok());
    let long = Entry { bytes: deflated(&vec![b'N'; 60_000]), ..packed.clone() };
    let script = file("a/constants.pkl", b"");
    let mut many = zip(std::slice::from_ref(&pickle));
    let counts = many.len() - 14;
    many[counts..counts + 4].fill(0xfe);
    #[rustfmt::skip]
    let known: &[(Vec<u8>, &str)] = &[
        (Vec::new(), "not a zip archive"), (b"PK\x03\x04".to_vec(), "no sound checkpoint"), (zip(&[]), "not a zip archive"),
        (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec(), "PyTorch before 1.6"),
        (b"\x80\x04N.".to_vec(), "a bare pickle"), (b"\x89HDF\r\n\x1a\n".to_vec(), "not a zip archive"),
        (zip(std::slice::from_ref(&script)), "0 entries called data.pkl"), (zip(&[pickle.clone(), script]), "a TorchScript archive"),
        (zip(&[pickle.clone(), file("b/data.pkl", b"N.")]), "2 entries called data.pkl"),
        (zip(&[pickle.clone(), pickle.clone()]), "two entries of the same name"),
        (zip(&[pickle.clone(), file("a/byteorder", b"big")]), "a big-endian machine"),
        (zip(&[Entry { mode: 0o120_777, ..pickle.clone() }]), "a/data.pkl: no ordinary file"),
        (zip(&[Entry { flags: 1, ..pickle.clone() }]), "assword"), (zip(&[Entry { method: 99, ..pickle.clone() }]), "a/data.pkl: "),
        (zip(&[Entry { crc: 0, ..pickle.clone() }]), "hecksum"), (zip(&[Entry { size: u32::MAX - 1, ..packed.clone() }]), "expected at most"),
        (zip(&[Entry { size: 60 << 20, ..packed.clone() }]), "bytes that claim to be"), (zip(&[Entry { size: 60, ..pickle }]), "claim to be 60"),
        (zip(&[Entry { size: 100, ..packed }]), "another size than the 100 bytes"), (zip(&[long]), "larger than its declared"),
        (many, "no sound checkpoint"),
    ];
    for (bytes, words) in known {
        refuses(read(bytes.clone()), words);
    }
    let folder = tempfile::tempdir().unwrap();
    refuses(Checkpoint::open(folder.path()), "cannot be read");
    refuses(Checkpoint::open(&folder.path().join("none")), "cannot be read");
}

#[test]
fn depth_and_sharing_cost_neither_stack_nor_time() {
    let start = Instant::now();
    let deep = [b")".to_vec(), vec![0x85; 3_000_000]].concat();
    let lists = [vec![b']'; 1_500_000], vec![b'a'; 1_499_999]].concat();
    // each list holds the one before ten times
    let tenfold =
        |laughs: Vec<u8>, n| [laughs, vec![b'q', n], b"](".to_vec(), [b'h', n].repeat(10), b"e".to_vec()].concat();
    let laughs = (0..200).fold(b"]".to_vec(), tenfold);
    for value in [deep, lists, laughs, b"]q\0h\0a".to_vec(), b"}q\0(Vk\nh\0u".to_vec()] {
        let checkpoint = open(&value, &[]).unwrap();
        assert!(walk(&checkpoint, 10_000) <= 10_000);
        assert!(checkpoint.root().tensor().is_none());
        assert!(format!("{checkpoint:?}").len() < 100);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn no_mutation_panics() {
    let weight = tensor("FloatStorage", "0", 1, &[2, 3], &[1, 2]);
    let state = [call("collections.OrderedDict", &[]), entries(&[("weight", weight.clone()), ("n", int(3))])].concat();
    let namespace =
        [global("argparse.Namespace"), b")\x81".to_vec(), dict(&[("lr", text("x"))]), b"b".to_vec()].concat();
    let parameter = call("torch._utils._rebuild_parameter", &[tensor("HalfStorage", "1", 0, &[4], &[1])]);
    let pickles = [dict(&[("state_dict", state), ("hparams", namespace)]), list(&[weight, parameter])];
    let storages: &[(&str, &[u8])] = &[("0", &floats(0..8)), ("1", &[0; 8])];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) as usize % below
    };
    let start = Instant::now();
    let mut opened = 0;
    for round in 0..20_000 {
        let pickle = finish(&pickles[round % 2]);
        // of the pickle, with checksums that are right; of the whole archive
        let inside = round % 4 < 2;
        let mut bytes = if inside { pickle } else { archive(&pickle, storages) };
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(6) {
                0 => bytes[at] ^= 1 << next(8),
                1 => bytes[at] = next(256) as u8,
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][next(5)],
                3 => bytes.insert(at, b".(0R\x81bstuae\x85\x86\x87Qh"[next(16)]),
                4 => drop(bytes.drain(at..(at + 1 + next(8)).min(bytes.len()))),
                _ => bytes.truncate(at),
            }
            bytes.resize(bytes.len().max(1), 0);
        }
        let bytes = if inside { archive(&bytes, storages) } else { bytes };
        match Checkpoint::salvage(Cursor::new(bytes)) {
            Ok(checkpoint) => opened += walk(&checkpoint, 200).min(1),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!((4_000..20_000).contains(&opened), "{opened} of 20000 could be opened");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
