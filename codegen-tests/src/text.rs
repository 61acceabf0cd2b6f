//! Test models in a subset of ONNX's textual syntax, readable in review, encoded by an independent protobuf library.
//!
//! ```text
//! model  = "<" "ir_version" ":" INT "," "opset_import" ":" "[" STRING ":" INT { "," STRING ":" INT } "]" ">" graph
//! graph  = NAME "(" [ value { "," value } ] ")" "=>" "(" value { "," value } ")" [ "<" init { "," init } ">" ] "{" { node } "}"
//! value  = TYPE "[" [ dim { "," dim } ] "]" NAME             dim = INT | NAME | "?"
//! init   = value "=" ( "{" NUMBER { "," NUMBER } "}" | "random" "(" SEED ")" )
//! node   = [ "[" NAME "]" ] NAME { "," NAME } "=" OP [ "<" attr { "," attr } ">" ] "(" [ arg { "," arg } ] ")"
//! attr   = NAME "=" ( INT | FLOAT | STRING | "[" NUMBER { "," NUMBER } "]" )          OP = NAME | DOMAIN "." NAME
//! arg    = NAME | ""  (omitted: `""`)
//! ```
//!
//! `random(seed)` is ours: floats in -1..1, integers in -127..127, or symmetric in their type where it has 4 or 16 bits, or of
//! their whole type where it is unsigned. `#` starts a comment.

use onnx_protobuf::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_shape_proto, type_proto,
};

/// Encodes a textual model.
///
/// # Panics
/// With the rest of the text, where it does not follow the grammar: tests want to fail there.
pub fn encode(text: &str) -> Vec<u8> {
    model(text).write_to_bytes().expect("a model can be written")
}

/// A textual model as a protobuf message, which a test may break before it is written.
///
/// # Panics
/// As [`encode`].
pub fn model(text: &str) -> ModelProto {
    let text: Vec<&str> = text.lines().map(|l| l.split('#').next().unwrap_or("")).collect();
    let mut p = Parser { tokens: tokens(&text.join("\n")), at: 0 };
    let mut model = ModelProto::new();
    p.expect("<");
    p.expect("ir_version");
    p.expect(":");
    model.ir_version = p.integer();
    p.expect(",");
    p.expect("opset_import");
    p.expect(":");
    for (domain, version) in p.list("[", "]", |p| {
        let domain = p.string();
        p.expect(":");
        (domain, p.integer())
    }) {
        model.opset_import.push(OperatorSetIdProto { domain, version, ..Default::default() });
    }
    p.expect(">");
    model.graph = Some(p.graph()).into();
    assert!(p.at == p.tokens.len(), "text behind the graph: {:?}", p.rest());
    model
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![];
    let mut chars = text.chars().peekable();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '+' | '-');
    while let Some(c) = chars.next() {
        let mut token = String::from(c);
        if c.is_whitespace() {
            continue;
        } else if c == '"' {
            while let Some(c) = chars.next_if(|c| *c != '"') {
                token.push(c);
            }
            chars.next();
        } else if c == '=' {
            token.extend(chars.next_if(|c| *c == '>'));
        } else if word(c) {
            while let Some(c) = chars.next_if(|c| word(*c)) {
                token.push(c);
            }
        }
        tokens.push(token);
    }
    tokens
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn rest(&self) -> String {
        self.tokens.iter().skip(self.at).take(12).cloned().collect::<Vec<_>>().join(" ")
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn expect(&mut self, token: &str) {
        assert!(self.peek() == token, "expected `{token}` at `{}`", self.rest());
        self.at += 1;
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        self.at += found as usize;
        found
    }

    fn integer(&mut self) -> i64 {
        let rest = self.rest();
        self.next().parse().unwrap_or_else(|_| panic!("expected an integer at `{rest}`"))
    }

    fn string(&mut self) -> String {
        let rest = self.rest();
        let token = self.next();
        token.strip_prefix('"').unwrap_or_else(|| panic!("expected a string at `{rest}`")).to_string()
    }

    /// `open [ item { "," item } ] close`
    fn list<T>(&mut self, open: &str, close: &str, mut item: impl FnMut(&mut Parser) -> T) -> Vec<T> {
        self.expect(open);
        let mut items = vec![];
        while !self.accept(close) {
            if !items.is_empty() {
                self.expect(",");
            }
            items.push(item(self));
        }
        items
    }

    fn graph(&mut self) -> GraphProto {
        let mut graph = GraphProto::new();
        graph.name = self.next();
        let value = |p: &mut Parser| {
            let (elem, dims, name) = p.value();
            value_info(elem, &dims, &name)
        };
        graph.input = self.list("(", ")", value);
        self.expect("=>");
        graph.output = self.list("(", ")", value);
        if self.peek() == "<" {
            graph.initializer = self.list("<", ">", Parser::initializer);
        }
        self.expect("{");
        while !self.accept("}") {
            graph.node.push(self.node());
        }
        graph
    }

    fn value(&mut self) -> (i32, Vec<String>, String) {
        let elem = match self.next().as_str() {
            "float" => 1,
            "uint8" => 2,
            "int8" => 3,
            "uint16" => 4,
            "int16" => 5,
            "int32" => 6,
            "int64" => 7,
            "bool" => 9,
            "uint4" => 21,
            "int4" => 22,
            other => panic!("unknown element type `{other}` before `{}`", self.rest()),
        };
        let dims = if self.peek() == "[" { self.list("[", "]", Parser::next) } else { vec![] };
        (elem, dims, self.next())
    }

    fn initializer(&mut self) -> TensorProto {
        let (elem, dims, name) = self.value();
        let mut tensor = TensorProto { name, data_type: elem, ..Default::default() };
        tensor.dims = dims.iter().map(|d| d.parse().expect("extents of constants are integers")).collect();
        let count = tensor.dims.iter().product::<i64>() as usize;
        self.expect("=");
        let values: Vec<f64> = if self.accept("random") {
            self.expect("(");
            let seed = self.integer() as u64;
            self.expect(")");
            random(seed, elem, count)
        } else {
            self.list("{", "}", |p| p.next().parse().expect("values are numbers"))
        };
        match elem {
            1 => tensor.float_data = values.iter().map(|v| *v as f32).collect(),
            21 | 22 => {
                // Two a byte, the first in the low four bits.
                let nibble = |v: f64| v as i32 & 15;
                let pair = |p: &[f64]| nibble(p[0]) | p.get(1).map_or(0, |v| nibble(*v) << 4);
                tensor.int32_data = values.chunks(2).map(pair).collect();
            }
            7 => tensor.int64_data = values.iter().map(|v| *v as i64).collect(),
            _ => tensor.int32_data = values.iter().map(|v| *v as i32).collect(),
        }
        tensor
    }

    fn node(&mut self) -> NodeProto {
        let mut node = NodeProto::new();
        if self.accept("[") {
            node.name = self.next();
            self.expect("]");
        }
        node.output.push(self.next());
        while self.accept(",") {
            node.output.push(self.next());
        }
        self.expect("=");
        let op = self.next();
        let (domain, name) = op.rsplit_once('.').unwrap_or(("", &op));
        (node.domain, node.op_type) = (domain.to_string(), name.to_string());
        if self.peek() == "<" {
            node.attribute = self.list("<", ">", Parser::attribute);
        }
        node.input = self.list("(", ")", |p| p.next().trim_start_matches('"').to_string());
        node
    }

    fn attribute(&mut self) -> AttributeProto {
        let mut a = AttributeProto { name: self.next(), ..Default::default() };
        self.expect("=");
        let integer = |t: &str| t.parse::<i64>().ok();
        let kind = if self.peek() == "[" {
            let items = self.list("[", "]", Parser::next);
            match items.iter().map(|t| integer(t)).collect::<Option<Vec<_>>>() {
                Some(ints) => {
                    a.ints = ints;
                    AttributeType::INTS
                }
                None => {
                    a.floats = items.iter().map(|t| t.parse().expect("a list of numbers")).collect();
                    AttributeType::FLOATS
                }
            }
        } else if self.peek().starts_with('"') {
            a.s = self.string().into_bytes();
            AttributeType::STRING
        } else if let Some(i) = integer(self.peek()) {
            self.at += 1;
            a.i = i;
            AttributeType::INT
        } else {
            let token = self.next();
            a.f = token.parse().unwrap_or_else(|_| panic!("attribute value `{token}`"));
            AttributeType::FLOAT
        };
        a.type_ = kind.into();
        a
    }
}

fn value_info(elem: i32, dims: &[String], name: &str) -> ValueInfoProto {
    let mut tensor = type_proto::Tensor { elem_type: elem, ..Default::default() };
    let shape = tensor.shape.mut_or_insert_default();
    for dim in dims {
        let mut d = tensor_shape_proto::Dimension::new();
        match dim.parse::<i64>() {
            Ok(n) => d.set_dim_value(n),
            Err(_) if dim == "?" => {}
            Err(_) => d.set_dim_param(dim.clone()),
        }
        shape.dim.push(d);
    }
    let mut ty = TypeProto::new();
    ty.set_tensor_type(tensor);
    ValueInfoProto { name: name.to_string(), type_: Some(ty).into(), ..Default::default() }
}

/// SplitMix64, so that a seed means the same values for ever.
fn random(seed: u64, elem: i32, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 40
    };
    let scale = |v: u64| match elem {
        1 => v as f64 / (1u64 << 23) as f64 - 1.0,
        2 => (v % 256) as f64,
        4 => (v % 65_536) as f64,
        5 => (v % 65_535) as f64 - 32_767.0,
        21 => (v % 16) as f64,
        22 => (v % 15) as f64 - 7.0,
        _ => (v % 255) as f64 - 127.0,
    };
    (0..count).map(|_| scale(next())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_every_construct() {
        let model = model(
            r#"<ir_version: 8, opset_import: ["" : 13, "com.microsoft": 1]>
            g (float[1, N] x, int8[?] q) => (float[1,2] y)
            <float[2,2] w = {1, -2.5, 3e1, 4}, int64[2] s = {1, -1}, uint8[3] r = random(7)>
            {
                [fc/1] h = Gemm<transB = 1, alpha=0.5>(x, w, "")   # comment
                y, z = com.microsoft.Other<axes=[1, 2], mode="m", f=[0.5]>(h)
            }"#,
        );
        let g = &model.graph;
        assert_eq!((g.node.len(), g.node[0].name.as_str(), g.node[0].input.len()), (2, "fc/1", 3));
        assert_eq!((g.node[1].domain.as_str(), g.node[1].output.len()), ("com.microsoft", 2));
        assert_eq!(g.initializer[0].float_data, [1.0, -2.5, 30.0, 4.0]);
        assert_eq!(g.initializer[1].int64_data, [1, -1]);
        assert_eq!(g.initializer[2].int32_data.len(), 3);
        assert_eq!(model.opset_import[1].version, 1);
    }
}
