package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// newEcho makes the router with what holds for every request, whatever its route.
func (a *API) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = a.answerError
	e.Use(a.observe, recoverPanics)
	return e
}

// observe gives each request its id, its line in the log and its place in the metrics.
func (a *API) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, n := time.Now(), newNote(c.Request().Header)
		ctx := withNote(c.Request().Context(), n)
		c.SetRequest(c.Request().WithContext(ctx))
		c.Response().Header().Set(requestIDHeader, n.requestID)
		c.Response().Header().Set("X-Content-Type-Options", "nosniff")
		err := next(c)
		broken := err != nil && c.Response().Committed
		if err != nil {
			c.Error(err)
		}
		took := time.Since(start)
		route := c.Path()
		if c.Response().Status == http.StatusNotFound && route == "" {
			route = "none"
		}
		a.metrics.request(c.Request().Method, route, c.Response().Status, took)
		n.line(ctx, a.log, c.Request(), route, c.Response().Status, took)
		if broken {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
		return nil
	}
}

// recoverPanics turns a panic into an error with its stack, which only the log gets to see.
func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch r := recover(); r {
			case nil:
			case http.ErrAbortHandler: // see observe
				err = memory.Errorf(memory.CodeInternal, "the answer was cut short")
			default:
				err = memory.Wrap(memory.CodeInternal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()), "the request could not be handled")
			}
		}()
		return next(c)
	}
}

// answerError answers what did not get as far as a handler: unknown routes and methods, panics.
func (a *API) answerError(err error, c echo.Context) {
	n := noteOf(c.Request().Context())
	p := problemOf(err)
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		p = ofStatus(he.Code, "")
		p.Detail = map[int]string{
			http.StatusNotFound:         "there is no such route",
			http.StatusMethodNotAllowed: "this route does not take " + c.Request().Method,
		}[he.Code]
	}
	if n.err == nil && p.Status >= http.StatusInternalServerError {
		n.err = err
	}
	if c.Response().Committed {
		return
	}
	p.RequestID = n.requestID
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte("{}") // a Problem always marshals
	}
	maps.Copy(c.Response().Header(), p.header)
	if err := c.Blob(p.Status, p.ContentType(""), body); err != nil && n.err == nil {
		n.err = err
	}
}
