//! An identity provider: keys, and the tokens that it signs with them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub struct Provider {
    rsa: rsa::KeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    /// What its keys are called.
    generation: u32,
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    pub fn new(generation: u32) -> Self {
        Self {
            rsa: rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
            generation,
        }
    }

    pub fn id(&self, algorithm: &str) -> String {
        format!("{algorithm}-{}", self.generation)
    }

    /// Its keys, and one of a kind that nobody knows.
    pub fn keys(&self) -> Value {
        let (rsa, ec, ed) = (self.rsa.public_key(), self.ec.public_key().as_ref(), self.ed.public_key().as_ref());
        let (n, e) = (rsa.modulus(), rsa.exponent());
        let (n, e) = (encoded(n.big_endian_without_leading_zero()), encoded(e.big_endian_without_leading_zero()));
        let (x, y) = (encoded(&ec[1..33]), encoded(&ec[33..]));
        json!({ "keys": [
            { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id("RS256"), "n": n, "e": e },
            { "kty": "EC", "crv": "P-256", "kid": self.id("ES256"), "x": x, "y": y },
            { "kty": "OKP", "crv": "Ed25519", "kid": self.id("EdDSA"), "x": encoded(ed) },
            { "kty": "of tomorrow", "kid": 7 },
        ]})
    }

    /// The public RSA key as a secret that a server could be made to take for one of HMAC.
    pub fn modulus(&self) -> Vec<u8> {
        self.rsa.public_key().as_ref().to_vec()
    }

    pub fn sign(&self, algorithm: &str, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": algorithm, "kid": self.id(algorithm), "typ": "JWT" }), claims)
    }

    /// With a header of one's own.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(padding, &random, bytes, &mut signature).unwrap();
            signature
        };
        let signature = match header["alg"].as_str().unwrap() {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "ES256" => self.ec.sign(&random, bytes).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(bytes).as_ref().to_vec(),
            "HS256" => {
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &self.modulus());
                aws_lc_rs::hmac::sign(&key, bytes).as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{message}.{}", encoded(&signature))
    }
}
