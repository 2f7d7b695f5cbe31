package openai

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/openai/openai-go/v3"
)

// Models are the names of the models that the server says it has; false: it keeps no such list, as not every server does, or
// does not show it to this key.
func (x connection) Models(ctx context.Context) (names []string, listed bool, err error) {
	models := openai.NewModelService()
	page, err := models.List(ctx, x.options...)
	if err != nil {
		var e *answerError
		none := errors.As(err, &e) && slices.Contains([]int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, e.status)
		if none {
			return nil, false, nil
		}
		return nil, false, fault(ctx, err)
	}
	for _, m := range page.Data {
		names = append(names, m.ID)
	}
	return names, true, nil
}
