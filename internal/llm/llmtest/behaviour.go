package llmtest

import (
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// Behaviour is what a [Server] does with a call instead of answering it in good order. Tests may write their own.
type Behaviour func(*Exchange)

// Exchange is a call that a [Behaviour] deals with.
type Exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	server *Server
	in     incoming
}

// Answer answers in good order.
func (x *Exchange) Answer() { x.server.answer(x.w, x.r, x.in) }

// Send sends any answer at all.
func (x *Exchange) Send(status int, header map[string]string, body string) {
	for k, v := range header {
		x.w.Header().Set(k, v)
	}
	x.w.WriteHeader(status)
	_, _ = io.WriteString(x.w, body) // a client that went away is no matter
}

// wait returns at the time; where the client goes away or the server is closed before, it cuts the connection.
func wait[T any](x *Exchange, until <-chan T) {
	select {
	case <-until:
		return
	case <-x.r.Context().Done():
	case <-x.server.stopping:
	}
	panic(http.ErrAbortHandler)
}

// body is the answer in good order, unsent.
func (x *Exchange) body() string {
	rec := httptest.NewRecorder()
	x.server.answer(rec, x.r, x.in)
	return rec.Body.String()
}

// Slowly answers after d.
func Slowly(d time.Duration) Behaviour {
	return func(x *Exchange) {
		t := time.NewTimer(d)
		defer t.Stop()
		wait(x, t.C)
		x.Answer()
	}
}

// When answers once ready is closed.
func When(ready <-chan struct{}) Behaviour {
	return func(x *Exchange) {
		wait(x, ready)
		x.Answer()
	}
}

// Hang never answers; the call ends when the client goes away or the server is closed.
func Hang() Behaviour { return func(x *Exchange) { wait[time.Time](x, nil) } }

// Fail answers an error as OpenAI does, with its code and message, and with a header where name is not empty.
func Fail(status int, code, message, name, value string) Behaviour {
	return func(x *Exchange) {
		if name != "" {
			x.w.Header().Set(name, value)
		}
		refuse(x.w, status, code, message)
	}
}

// Status answers an error of that HTTP status.
func Status(status int) Behaviour {
	return Fail(status, strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_"), http.StatusText(status), "", "")
}

// RateLimit answers 429 with Retry-After in seconds.
func RateLimit(after time.Duration) Behaviour {
	return rateLimit("Retry-After", strconv.FormatFloat(after.Seconds(), 'f', -1, 64))
}

// RateLimitMS answers 429 with retry-after-ms.
func RateLimitMS(after time.Duration) Behaviour {
	return rateLimit("Retry-After-Ms", strconv.FormatInt(after.Milliseconds(), 10))
}

// RateLimitDate answers 429 with Retry-After as an HTTP date.
func RateLimitDate(until time.Time) Behaviour {
	return rateLimit("Retry-After", until.UTC().Format(http.TimeFormat))
}

func rateLimit(header, value string) Behaviour {
	return Fail(http.StatusTooManyRequests, "rate_limit_exceeded", "Rate limit reached", header, value)
}

// Quota answers that the account has no credit left.
func Quota() Behaviour {
	return Fail(http.StatusTooManyRequests, "insufficient_quota", "You exceeded your current quota", "Retry-After", "1")
}

// Page answers with a web page, as a proxy in front of the server does.
func Page(status int) Behaviour {
	return func(x *Exchange) {
		x.Send(status, map[string]string{"Content-Type": "text/html"}, "<html><body>"+http.StatusText(status)+"</body></html>")
	}
}

// BrokenJSON answers 200 with the first half of the right body, as if that were all.
func BrokenJSON() Behaviour {
	return func(x *Exchange) {
		body := x.body()
		x.Send(http.StatusOK, map[string]string{"Content-Type": "application/json"}, body[:len(body)/2])
	}
}

// Cut sends half of the right body and cuts the connection.
func Cut() Behaviour {
	return func(x *Exchange) {
		body := x.body()
		length := strconv.Itoa(len(body))
		x.Send(http.StatusOK, map[string]string{"Content-Type": "application/json", "Content-Length": length}, body[:len(body)/2])
		_ = http.NewResponseController(x.w).Flush() // what cannot be flushed is cut off all the same
		panic(http.ErrAbortHandler)
	}
}

// Reset cuts the connection without a word.
func Reset() Behaviour { return func(*Exchange) { panic(http.ErrAbortHandler) } }

// Say answers a chat completion with that text, whatever was asked: an answer that need not validate. The finish
// reason is "stop" unless another is given.
func Say(text string, finish ...string) Behaviour {
	return func(x *Exchange) { x.say(text, "", append(finish, "stop")[0]) }
}

// Refuse answers a chat completion in which the model declines.
func Refuse(words string) Behaviour {
	return func(x *Exchange) { x.say("", words, "stop") }
}

func (x *Exchange) say(text, refusal, finish string) {
	prompt, completion := tokens(strings.Join(x.in.prompts(), "")), tokens(text)
	x.server.answered(prompt + completion)
	send(x.w, completed(x.in.call.Request.Model, text, refusal, finish, prompt, completion))
}

// Always does the same with every call.
func Always(b Behaviour) Script { return func(Call) Behaviour { return b } }

// Sequence deals with the first calls one after the other (nil: answered), and answers all that come after them.
func Sequence(bs ...Behaviour) Script {
	return func(c Call) Behaviour {
		if c.N > len(bs) {
			return nil
		}
		return bs[c.N-1]
	}
}

// OnContent deals with the first n calls of the method ("": any) on each text that contains the fragment.
func OnContent(method, fragment string, n int, b Behaviour) Script {
	return func(c Call) Behaviour {
		if times := c.Times(fragment); (method == "" || method == c.Method) && times > 0 && times <= n {
			return b
		}
		return nil
	}
}

// Share deals with that share of all calls (0 to 1), the same ones in every run.
func Share(share float64, b Behaviour) Script {
	return func(c Call) Behaviour {
		h := fnv.New32a()
		_, _ = h.Write([]byte(strconv.Itoa(c.N))) // never fails
		if float64(h.Sum32()%10_000) < share*10_000 {
			return b
		}
		return nil
	}
}

// Between deals with the calls that come so long after the server's start.
func Between(from, to time.Duration, b Behaviour) Script {
	return func(c Call) Behaviour {
		if c.At >= from && c.At < to {
			return b
		}
		return nil
	}
}

// Lacks is a server without these response formats (json_schema, json_object): it answers 400 to whoever asks for one.
func Lacks(formats ...string) Script {
	return func(c Call) Behaviour {
		for _, f := range formats {
			if c.Request.Format == f {
				return Fail(http.StatusBadRequest, "invalid_value", "response_format "+f+" is not supported", "", "")
			}
		}
		return nil
	}
}

// FirstOf lets the first script decide that has something to do.
func FirstOf(scripts ...Script) Script {
	return func(c Call) Behaviour {
		for _, s := range scripts {
			if b := s(c); b != nil {
				return b
			}
		}
		return nil
	}
}
