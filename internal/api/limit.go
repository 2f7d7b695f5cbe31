package api

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// limiter gives each key a token bucket. Rate 0: no limit.
type limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter // by id of the key
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, buckets: map[string]*rate.Limiter{}}
}

// take takes a token; where there is none it returns how long until there is one.
func (l *limiter) take(key string) (time.Duration, bool) {
	if l.rate <= 0 {
		return 0, true
	}
	b := l.bucket(key)
	r := b.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return 0, true
	}
	r.Cancel()
	return wait, false
}

// bucketsKept bounds the memory that keys take. A bucket that is dropped is full again when it comes back.
const bucketsKept = 10_000

func (l *limiter) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= bucketsKept {
			clear(l.buckets)
		}
		b = rate.NewLimiter(l.rate, l.burst)
		l.buckets[key] = b
	}
	return b
}

// limit turns requests away whose key has used up its share.
func (a *API) limit(ctx huma.Context, next func(huma.Context)) {
	key := callerOf(ctx.Context()).ID
	if key == "" {
		next(ctx)
		return
	}
	wait, ok := a.limits.take(key)
	if ok {
		next(ctx)
		return
	}
	seconds := int(math.Ceil(wait.Seconds()))
	window := max(1, int(math.Ceil(float64(a.limits.burst)/float64(a.limits.rate))))
	ctx.SetHeader("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, a.limits.burst, window))
	ctx.SetHeader("RateLimit", fmt.Sprintf(`"key";r=0;t=%d`, seconds))
	a.fail(ctx, &memory.Error{Code: memory.CodeRateLimited, Message: "this key has sent too many requests", RetryAfter: wait})
}
