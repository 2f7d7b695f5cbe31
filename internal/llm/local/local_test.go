package local_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExtractor(t *testing.T) {
	llmtest.Extractor(t, func(testing.TB) llm.Extractor { return local.NewExtractor() })
}

func TestEmbedder(t *testing.T) {
	llmtest.Embedder(t, func(tb testing.TB) llm.Embedder {
		e, err := local.NewEmbedder()
		if err != nil {
			tb.Fatal(err)
		}
		return e
	})
}
