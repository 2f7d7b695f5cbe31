package static

import (
	_ "embed" // the model is part of the binary
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

//go:embed model/vocab.txt
var embeddedVocabulary string

//go:embed model/vectors.bin
var embeddedRows string

// The layout of vectors.bin, all numbers little-endian (the recipe's write_vectors is the other half):
//
//	8 bytes                the magic
//	uint32, uint32         how many rows, how many dimensions
//	rows × float32         the scale of each row; 0 for a token that says nothing ([UNK], [CLS], …)
//	rows × dims × int8     the vectors; times its scale, a row is the token's vector times its weight
const (
	magic      = "SYSTAT01"
	headerSize = len(magic) + 8
)

var errDamaged = errors.New("static: the embedded weights are damaged")

// rows are the vectors of the tokens, quantised to one byte a dimension with one scale a row.
type rows struct {
	count, dims int
	scales      []float32
	values      string // count × dims, int8
}

func decodeRows(data string) (rows, error) {
	if len(data) < headerSize || !strings.HasPrefix(data, magic) {
		return rows{}, fmt.Errorf("%w: no header", errDamaged)
	}
	r := rows{count: int(number(data, len(magic))), dims: int(number(data, len(magic)+4))}
	values := headerSize + 4*r.count
	if r.dims == 0 || len(data) != values+r.count*r.dims {
		return rows{}, fmt.Errorf("%w: %d bytes for %d rows of %d", errDamaged, len(data), r.count, r.dims)
	}
	r.values = data[values:]
	r.scales = make([]float32, r.count)
	for i := range r.scales {
		r.scales[i] = math.Float32frombits(number(data, headerSize+4*i))
	}
	return r, nil
}

// number reads the uint32 at a place in data.
func number(data string, at int) uint32 {
	return binary.LittleEndian.Uint32([]byte(data[at : at+4]))
}

// addTo adds the vector of a token to sum, which has dims elements.
func (r *rows) addTo(sum []float32, id int) {
	scale := r.scales[id]
	if scale == 0 {
		return
	}
	row := r.values[id*r.dims : (id+1)*r.dims]
	for i := range sum[:len(row)] {
		sum[i] += scale * float32(int8(row[i])) //nolint:gosec // the bytes are signed numbers
	}
}
