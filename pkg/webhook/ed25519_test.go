package webhook_test

import (
	"crypto/sha512"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// This file is a second implementation of ed25519 verification, straight from the formulas of RFC 8032 over big
// integers, so that v1a does not rest on crypto/ed25519 agreeing with itself.

func number(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic(s)
	}
	return n
}

var (
	fieldP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	orderL = new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 252), number("27742317777372353535851937790883648493"))
	curveD = mul(mod(big.NewInt(-121665)), inverse(big.NewInt(121666)))
	base   = affine{
		x: number("15112221349535400772501151409588531511454012693041857206046113283949847762202"),
		y: number("46316835694926478169428394003475163141307993866256225615783033603165251855960"),
	}
)

// affine is a point of the curve -x² + y² = 1 + dx²y².
type affine struct{ x, y *big.Int }

func mod(n *big.Int) *big.Int     { return new(big.Int).Mod(n, fieldP) }
func mul(a, b *big.Int) *big.Int  { return mod(new(big.Int).Mul(a, b)) }
func inverse(a *big.Int) *big.Int { return new(big.Int).ModInverse(a, fieldP) }

func (p affine) add(q affine) affine {
	t := mul(curveD, mul(mul(p.x, q.x), mul(p.y, q.y)))
	one := big.NewInt(1)
	x := new(big.Int).Add(mul(p.x, q.y), mul(p.y, q.x))
	y := new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x))
	return affine{mul(x, inverse(mod(new(big.Int).Add(one, t)))), mul(y, inverse(mod(new(big.Int).Sub(one, t))))}
}

func (p affine) times(n *big.Int) affine {
	sum := affine{big.NewInt(0), big.NewInt(1)}
	for i := n.BitLen() - 1; i >= 0; i-- {
		sum = sum.add(sum)
		if n.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func point(b []byte) (affine, bool) {
	y := littleEndian(b)
	sign := y.Bit(255)
	y.SetBit(y, 255, 0)
	yy := mul(y, y)
	xx := mul(new(big.Int).Sub(yy, big.NewInt(1)), inverse(new(big.Int).Add(mul(curveD, yy), big.NewInt(1))))
	x := new(big.Int).ModSqrt(mod(xx), fieldP)
	if x == nil {
		return affine{}, false
	}
	if x.Bit(0) != sign {
		x.Sub(fieldP, x)
	}
	return affine{x, y}, true
}

func verifies(public, text, signature []byte) bool {
	a, okA := point(public)
	r, okR := point(signature[:32])
	s := littleEndian(signature[32:])
	if !okA || !okR || s.Cmp(orderL) >= 0 {
		return false
	}
	sum := sha512.Sum512(slices.Concat(signature[:32], public, text))
	k := new(big.Int).Mod(littleEndian(sum[:]), orderL)
	left, right := base.times(s), r.add(a.times(k))
	return left.x.Cmp(right.x) == 0 && left.y.Cmp(right.y) == 0
}

func TestSecondImplementationVerifiesV1a(t *testing.T) {
	t.Parallel()
	decode := func(s string) []byte {
		raw, err := base64.StdEncoding.DecodeString(s[strings.IndexAny(s, ",_")+1:])
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for _, key := range []webhook.Key{parse(t, vectorPrivate), webhook.GenerateKey(), webhook.GenerateKey()} {
		signature, err := webhook.Sign("evt_1", time.Unix(1700000000, 0), []byte(`{"a":1}`), key)
		if err != nil || !strings.HasPrefix(signature, "v1a,") {
			t.Fatal(signature, err)
		}
		public := decode(key.Public().Text())
		if !verifies(public, []byte(`evt_1.1700000000.{"a":1}`), decode(signature)) {
			t.Errorf("%s does not verify with %s", signature, key.Public())
		}
		if verifies(public, []byte(`evt_1.1700000001.{"a":1}`), decode(signature)) {
			t.Error("another text verifies: this test shows nothing")
		}
	}
}
