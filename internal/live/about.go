package live

import (
	"context"
	"strings"
	"time"
)

// About returns the version of the server, "" where this user may not ask for it, and its clock.
func (r *Redis) About(ctx context.Context) (version string, clock time.Time, err error) {
	if clock, err = r.client.Time(ctx).Result(); err != nil {
		return "", clock, err
	}
	info, err := r.client.Info(ctx, "server").Result()
	if err != nil {
		return "", clock, nil //nolint:nilerr // the clock is known, and a user may be kept from INFO
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, "redis_version:"); ok {
			version = strings.TrimSpace(v)
		}
	}
	return version, clock, nil
}
