//! Samples from every kind of file: what the model receives, and what is refused with which way out.

use kiln_cli::data::{DataArgs, Dataset, Layout};
use kiln_cli::npy;
use kiln_compiler::program::{BufferId, Port};
use kiln_compiler::tensor::{ElemType, QParams, Tensor, TensorType};
use std::io::Write;
use std::path::{Path, PathBuf};

fn port(name: &str, elem: ElemType, shape: &[usize]) -> Port {
    Port { name: name.into(), buffer: BufferId(0), ty: TensorType::new(elem, shape), qparams: None }
}

fn float(shape: &[usize]) -> Vec<Port> {
    vec![port("input", ElemType::F32, shape)]
}

/// 0, 1, 2, ..
fn counting(shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|v| v as f32).collect();
    Tensor::from_f32(shape, &values)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        path
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("it can be written");
        path
    }

    fn npz(&self, name: &str, arrays: &[(&str, &Tensor)]) -> PathBuf {
        let path = self.path(name);
        npy::write_npz(&path, arrays.iter().copied()).expect("it can be written");
        path
    }
}

/// A `.npy` file of f32 as numpy writes it, made here by hand.
fn npy_f32(shape: &[usize], order: &str, values: impl Iterator<Item = [u8; 4]>, endian: char) -> Vec<u8> {
    let dims: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let mut header = format!("{{'descr': '{endian}f4', 'fortran_order': {order}, 'shape': ({dims}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.flatten());
    bytes
}

fn npy_of(tensor: &Tensor) -> Vec<u8> {
    npy_f32(tensor.shape(), "False", tensor.to_f32s().into_iter().map(f32::to_le_bytes), '<')
}

/// A `TensorProto` of f32: fields 1 (dims), 2 (data_type = 1), 9 (raw_data).
fn pb_of(tensor: &Tensor) -> Vec<u8> {
    let mut bytes: Vec<u8> = tensor.shape().iter().flat_map(|&d| [0x08, d as u8]).collect();
    bytes.extend([0x10, 1, 0x4a, tensor.bytes().len() as u8]);
    bytes.extend(tensor.bytes());
    bytes
}

fn open(path: &Path, ports: &[Port]) -> Result<Dataset, String> {
    Dataset::open(path, ports, &DataArgs::default()).map_err(|d| d.to_string())
}

/// The first value of the first input of each sample.
fn firsts(data: &Dataset) -> Vec<f32> {
    let first = |i| data.sample(i).expect("a sample")[0].to_f32s()[0];
    (0..data.len()).map(first).collect()
}

#[test]
fn the_same_samples_in_every_kind_of_file() {
    let folder = Folder::new();
    let all = counting(&[12, 2, 3]);
    let one = |i: usize| {
        let values: Vec<f32> = all.to_f32s()[6 * i..6 * (i + 1)].to_vec();
        Tensor::from_f32(&[1, 2, 3], &values)
    };
    let labels = Tensor::from_i64(&[12], &[3; 12]);
    let mut kinds = vec![
        folder.npz("named.npz", &[("input", &all), ("other", &labels)]),
        folder.npz("x.npz", &[("x", &all), ("y", &labels)]),
        folder.npz("x_test.npz", &[("x_test", &all), ("y_test", &labels), ("more", &labels)]),
        folder.npz("only.npz", &[("samples", &all), ("labels", &labels)]),
        folder.write("all.npy", &npy_of(&all)),
        folder.write(
            "big.npy",
            &npy_f32(&[12, 2, 3], "False", all.to_f32s().into_iter().map(f32::to_be_bytes), '>'),
        ),
    ];
    for i in 0..12 {
        folder.write(&format!("npy/s{i}.npy"), &npy_of(&one(i)));
        folder.write(&format!("pb/s{i}.pb"), &pb_of(&one(i)));
        folder.write(&format!("cases/input_{i}_0.npy"), &npy_of(&one(i)));
        folder.write(&format!("cases/output_{i}_0.npy"), b"not read");
        folder.write(&format!("onnx/test_data_set_{i}/input_0.pb"), &pb_of(&one(i)));
        folder.write(&format!("onnx/test_data_set_{i}/output_0.pb"), b"not read");
        folder.write(&format!("inputs/input/{i}.npy"), &npy_of(&one(i)));
    }
    kinds.extend(["npy", "pb", "cases", "onnx", "inputs"].map(|name| folder.path(name)));
    let mut stored = zip::ZipWriter::new(std::fs::File::create(folder.path("stored.npz")).expect("a file"));
    let plain = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
    stored.start_file("x.npy", plain).expect("a member");
    stored.write_all(&npy_of(&all)).expect("it can be written");
    stored.finish().expect("an archive");
    kinds.push(folder.path("stored.npz"));
    let mut hashes = vec![];
    for kind in &kinds {
        let data = open(kind, &float(&[1, 2, 3])).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(data.len(), 12, "{}", kind.display());
        for i in [11, 0, 10, 2] {
            assert_eq!(data.sample(i).as_deref(), Ok(&[one(i)][..]), "{} {i}", kind.display());
        }
        assert_eq!(data.labels().map(|l| l.elements()), data.labels().map(|_| 12), "{}", kind.display());
        hashes.push(data.hash().expect("a hash"));
    }
    assert!(hashes.iter().all(|h| *h == hashes[0] && h.len() == 64), "{hashes:?}");
    let other = folder.write("other.npy", &npy_of(&counting(&[11, 2, 3])));
    assert_ne!(open(&other, &float(&[1, 2, 3])).map(|d| d.hash()), Ok(Ok(hashes[0].clone())));
}

#[test]
fn one_sample_needs_no_axis_of_samples() {
    let folder = Folder::new();
    let path = folder.write("one.npy", &npy_of(&counting(&[2, 3])));
    assert_eq!(open(&path, &float(&[1, 2, 3])).map(|d| d.len()), Ok(1));
    let path = folder.write("one.pb", &pb_of(&counting(&[1, 2, 3])));
    assert_eq!(open(&path, &float(&[1, 2, 3])).map(|d| d.len()), Ok(1));
}

#[test]
fn several_inputs_go_by_name() {
    let folder = Folder::new();
    let ports = [port("a", ElemType::F32, &[1, 2]), port("b", ElemType::F32, &[1, 3])];
    let (a, b) = (counting(&[4, 2]), counting(&[4, 3]));
    let data = open(&folder.npz("ab.npz", &[("b", &b), ("a", &a)]), &ports).expect("it opens");
    let sample = data.sample(2).expect("a sample");
    assert_eq!((sample[0].to_f32s(), sample[1].to_f32s()), (vec![4.0, 5.0], vec![6.0, 7.0, 8.0]));
    folder.write("set/input_0.pb", &pb_of(&counting(&[1, 2])));
    folder.write("set/input_1.pb", &pb_of(&counting(&[1, 3])));
    assert_eq!(open(&folder.path("set"), &ports).map(|d| d.len()), Ok(1));
}

#[test]
fn values_take_the_type_of_the_input() {
    let folder = Folder::new();
    let path = folder.write("x.npy", &npy_of(&counting(&[3, 1])));
    let read = |elem, qparams| {
        let ports = [Port { qparams, ..port("input", elem, &[1, 1]) }];
        open(&path, &ports).and_then(|d| d.sample(2).map_err(|d| d.to_string())).map(|s| s[0].to_i64s()[0])
    };
    assert_eq!(read(ElemType::I8, Some(QParams::per_tensor(0.5, -10))), Ok(-6));
    assert_eq!(read(ElemType::U8, Some(QParams::per_tensor(0.5, 100))), Ok(104));
    assert_eq!(read(ElemType::I16, Some(QParams::per_tensor(1.0 / 4096.0, 0))), Ok(8192));
    assert!(read(ElemType::I8, None).is_err_and(|e| e.contains("i8[1, 1]") && e.contains("f32")));
    let wide = folder.npz("wide.npz", &[("x", &Tensor::from_i64(&[2], &[7, 300]))]);
    let narrow = open(&wide, &[port("input", ElemType::I8, &[1])]).expect("the first sample fits");
    assert_eq!(narrow.sample(0).map(|s| s[0].to_i64s()), Ok(vec![7]));
    assert_eq!(narrow.sample(1).map_err(|d| d.code), Err("E0602"));
}

#[test]
fn the_other_layout_is_transposed_when_asked() {
    let folder = Folder::new();
    let path = folder.write("nhwc.npy", &npy_of(&counting(&[2, 4, 5, 3])));
    let ports = float(&[1, 3, 4, 5]);
    let refused = open(&path, &ports).expect_err("it does not fit");
    for part in ["error[E0602]", "`input`", "f32[1, 3, 4, 5]", "f32[2, 4, 5, 3]", "`--layout nchw`"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let args = DataArgs { layout: Some(Layout::Nchw), ..DataArgs::default() };
    let data = Dataset::open(&path, &ports, &args).expect("it fits");
    let expected: Vec<f32> = (0..3).flat_map(|c| (0..20).map(move |p| (60 + 3 * p + c) as f32)).collect();
    assert_eq!(data.sample(1).map(|s| s[0].to_f32s()), Ok(expected));
    let back = folder.write("nchw.npy", &npy_of(&counting(&[2, 3, 4, 5])));
    let refused = open(&back, &float(&[1, 4, 5, 3])).expect_err("it does not fit");
    assert!(refused.contains("`--layout nhwc`"), "{refused}");
}

/// 16 x 8 pixels in two halves: (201, 40, 90) and (16, 128, 240), a baseline JPEG written by libjpeg at quality 95.
const JPEG: &[u8] = include_bytes!("data/two_halves.jpg");

fn png(width: u32, height: u32, color: png::ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.write_header().and_then(|mut w| w.write_image_data(pixels)).expect("it can be written");
    bytes
}

fn halves() -> Vec<u8> {
    (0..128).flat_map(|i| if i % 16 < 8 { [201, 40, 90] } else { [16, 128, 240] }).collect()
}

fn arguments(words: &[&str]) -> DataArgs {
    #[derive(clap::Parser)]
    struct Whole {
        #[command(flatten)]
        data: DataArgs,
    }
    <Whole as clap::Parser>::parse_from([&["test"], words].concat()).data
}

#[test]
fn images_are_scaled_as_stated() {
    let folder = Folder::new();
    folder.write("cats/b.png", &png(16, 8, png::ColorType::Rgb, &halves()));
    folder.write("cats/a.jpg", JPEG);
    let rgba: Vec<u8> = halves().chunks(3).flat_map(|p| [p[0], p[1], p[2], 7]).collect();
    folder.write("dogs/c.png", &png(16, 8, png::ColorType::Rgba, &rgba));
    let read = |shape: &[usize], words: &[&str], sample: usize| -> Vec<f32> {
        let data = Dataset::open(folder.0.path(), &float(shape), &arguments(words)).expect("it opens");
        assert_eq!(data.labels().map(Tensor::to_i64s), Some(vec![0, 0, 1]));
        data.sample(sample).expect("a sample")[0].to_f32s()
    };
    for sample in 0..3 {
        let nchw = read(&[1, 3, 8, 16], &["--scale", "1"], sample);
        let expected: Vec<f32> = (0..3)
            .flat_map(|c| (0..128).map(move |p| (p, c)))
            .map(|(p, c)| halves()[3 * p + c] as f32)
            .collect();
        // A JPEG may be off by a step of its transform.
        let off = nchw.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= if sample == 0 { 1.0 } else { 0.0 }, "{sample}: {off}");
    }
    let nhwc = read(&[1, 8, 16, 3], &["--scale", "1/2", "--mean=-1,2,3", "--std", "4", "--color", "bgr"], 1);
    assert_eq!(nhwc[..3], [(45.0 + 1.0) / 4.0, (20.0 - 2.0) / 4.0, (100.5 - 3.0) / 4.0]);
    let grey = read(&[1, 1, 8, 16], &["--scale", "1"], 2);
    assert_eq!((grey[0], grey[15]), (94.0, 107.0), "BT.601: 93.839 and 107.28");
}

/// Path of the data, the model's inputs, options, and what the error must say.
type Row<'a> = (PathBuf, &'a [Port], &'a [&'a str], &'a [&'a str]);

#[test]
fn what_is_wrong_with_data_is_said_with_the_way_out() {
    let folder = Folder::new();
    let x = counting(&[4, 2]);
    let ab = [port("a", ElemType::F32, &[1, 2]), port("b", ElemType::F32, &[1, 3])];
    let one = float(&[1, 2]);
    let image = float(&[1, 3, 8, 16]);
    let cut = npy_of(&counting(&[4, 2]));
    folder.write("empty/readme.txt", b"nothing");
    folder.write("images/a.png", &png(16, 8, png::ColorType::Rgb, &halves()));
    folder.write("small/a.png", &png(2, 1, png::ColorType::Rgb, &[0; 6]));
    folder.write("broken/a.png", b"\x89PNG and no more");
    folder.write("cases/input_0.pb", &pb_of(&counting(&[1, 2])));
    let fortran = npy_f32(&[4, 2], "True", (0..8).map(|v| (v as f32).to_le_bytes()), '<');
    let rows: &[Row] = &[
        (folder.path("none.npz"), &one, &[], &["E0603", "no such file", ".npz (one array"]),
        (folder.path("empty"), &one, &[], &["E0603", "no samples", "= help"]),
        (folder.write("text.txt", b"1,2"), &one, &[], &["E0603", "no kind of data"]),
        (folder.write("cut.npy", &cut[..cut.len() - 1]), &one, &[], &["E0603", "truncated", "32 bytes"]),
        (folder.write("fortran.npy", &fortran), &one, &[], &["E0603", "ascontiguousarray"]),
        (folder.write("zip.npz", b"PK no archive"), &one, &[], &["E0603", "zip.npz"]),
        (folder.write("zero.npy", &npy_of(&counting(&[0, 2]))), &one, &[], &["E0603", "no samples"]),
        (folder.write("not.pb", &[0xff; 9]), &one, &[], &["E0101", "not an ONNX tensor", "not.pb"]),
        (
            folder.npz("few.npz", &[("x", &x), ("y", &counting(&[3]))]),
            &one,
            &[],
            &["E0603", "labels", "4", "3"],
        ),
        (
            folder.npz("uneven.npz", &[("a", &x), ("b", &counting(&[5, 3]))]),
            &ab,
            &[],
            &["E0603", "different numbers"],
        ),
        (folder.npz("which.npz", &[("p", &x), ("q", &x)]), &one, &[], &["E0604", "`p`, `q`", "`input`"]),
        (folder.npz("ab.npz", &[("x", &x)]), &ab, &[], &["E0604", "input `a`", "`a`, `b`"]),
        (folder.write("two.npy", &npy_of(&x)), &ab, &[], &["E0604", "2 inputs", "`a`, `b`"]),
        (folder.path("cases"), &ab, &[], &["E0604", "other inputs", "input_0.pb"]),
        (
            folder.npz("wide.npz", &[("x", &counting(&[4, 3]))]),
            &one,
            &[],
            &["E0602", "f32[1, 2]", "f32[4, 3]", "wide.npz"],
        ),
        (
            folder.write("flat.npy", &npy_of(&counting(&[3, 6]))),
            &float(&[1, 2, 3]),
            &[],
            &["E0602", "another shape"],
        ),
        (folder.write("b.npy", &npy_of(&counting(&[6, 2]))), &float(&[4, 2]), &[], &["E0602", "`--batch 1`"]),
        (folder.path("images"), &image, &[], &["E0605", "not stated", "`--scale 1/255`"]),
        (
            folder.path("images"),
            &image,
            &["--scale", "1", "--mean", "1,2"],
            &["E0605", "`--mean`", "3 channels"],
        ),
        (folder.path("images"), &image, &["--scale", "1", "--std", "0"], &["E0605", "`--std`"]),
        (folder.path("images"), &image, &["--scale", "1", "--color", "grey"], &["E0605", "--color rgb"]),
        (folder.path("images"), &float(&[1, 3, 8, 3]), &["--scale", "1"], &["E0605", "two ways", "--layout"]),
        (folder.path("images"), &float(&[1, 128]), &["--scale", "1"], &["E0605", "one image at a time"]),
        (folder.path("small"), &image, &["--scale", "1"], &["E0605", "16 x 8", "2 x 1", "resize"]),
        (folder.path("broken"), &image, &["--scale", "1"], &["E0603", "a.png"]),
    ];
    for (path, ports, words, parts) in rows {
        let refused =
            Dataset::open(path, ports, &arguments(words)).map(|_| "it opened").unwrap_err().to_string();
        for part in *parts {
            assert!(refused.contains(part), "{}: no `{part}` in {refused}", path.display());
        }
    }
}

#[test]
fn a_sample_that_fails_later_names_its_file() {
    let folder = Folder::new();
    folder.write("s1.npy", &npy_of(&counting(&[1, 2])));
    folder.write("s2.npy", &npy_of(&counting(&[1, 3])));
    let data = open(folder.0.path(), &float(&[1, 2])).expect("the first sample fits");
    let error = data.sample(1).map_err(|d| d.to_string()).unwrap_err();
    assert!(error.contains("s2.npy") && error.contains("E0602"), "{error}");
    assert!(data.sample(2).is_err_and(|d| d.to_string().contains("no sample 2 of 2")));
    assert!(data.hash().is_err());
}

#[test]
fn the_zoo_and_the_examples_open() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models");
    let ports = float(&[1, 1, 8, 8]);
    let test = open(&root.join("digits.npz"), &ports).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((test.len(), test.labels().map(Tensor::elements)), (360, Some(360)));
    let calibration = open(&root.join("digits.calib.npz"), &ports).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((calibration.len(), calibration.labels().is_some()), (200, false));
    assert_eq!(firsts(&calibration).len(), 200);
    let whole = npy::read_npz(&root.join("digits.npz"), "x").expect("it can be read");
    assert_eq!(test.sample(359).map(|s| s[0].to_f32s()), Ok(whole.to_f32s()[359 * 64..].to_vec()));
}
