package webhooks

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Schedule says when a delivery is tried: how long after the attempt before each attempt is made.
type Schedule struct {
	// Delays before the attempts, one each; the first is that before the first. Default: 0, 5 s, 5 m, 30 m, 2 h, 5 h,
	// 10 h, 14 h, 20 h, 24 h, which is 75 h 35 m in all: the schedule that Standard Webhooks recommends.
	Delays []time.Duration `yaml:"delays"`
	// Jitter is the most by which a delay is made longer, as a part of it. Default: 0.2. Below 0: none.
	Jitter float64 `yaml:"jitter"`
}

func (s Schedule) orDefault() Schedule {
	if len(s.Delays) == 0 {
		s.Delays = []time.Duration{
			0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
			5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}
	}
	if s.Jitter == 0 {
		s.Jitter = 0.2
	}
	return s
}

// next is the wait after the given number of attempts; false where no attempt is left. What the receiver asked for is
// honoured where it is longer, up to the longest delay of the schedule.
func (s Schedule) next(made int, asked time.Duration) (time.Duration, bool) {
	if made >= len(s.Delays) {
		return 0, false
	}
	wait := spread(s.Delays[made], s.Jitter)
	return max(wait, min(asked, slices.Max(s.Delays))), true
}

// spread makes a wait longer by up to the given part of it.
func spread(wait time.Duration, part float64) time.Duration {
	if part <= 0 {
		return wait
	}
	return wait + time.Duration(rand.Float64()*part*float64(wait)) //nolint:gosec // spreading needs no secrets
}
