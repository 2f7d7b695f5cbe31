package live

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Connect makes a client for the Redis at the URL (redis://…, or rediss://… for TLS, with secure where that is not nil);
// nothing is called yet. What Redis does here can be done without, so no call waits for it for long.
func Connect(url string, secure *tls.Config) (*redis.Client, error) {
	o, err := redis.ParseURL(url)
	if err != nil { // it would quote the password
		return nil, memory.Errorf(memory.CodeInvalid, "the URL of Redis is not one; it looks like redis://user:password@redis.example.com:6379/0")
	}
	if o.TLSConfig != nil && secure != nil {
		secure = secure.Clone()
		secure.ServerName = cmp.Or(secure.ServerName, o.TLSConfig.ServerName)
		o.TLSConfig = secure
	}
	silence()
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = time.Second, time.Second, time.Second
	o.ContextTimeoutEnabled = true
	o.MaxRetries = 1
	o.DisableIdentity = true // servers before 7.2 do not know it
	return redis.NewClient(o), nil
}

// silence keeps the client from writing to standard error by itself: errors are returned, and logged here.
//
//nolint:gochecknoglobals // the client's logger is one
var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

// Printf implements the client's logger.
func (silent) Printf(context.Context, string, ...any) {}

// Redis passes events on between processes: who watches in one is told what another does. Only ids go through Redis, so
// what comes from another process is an event without the memory or batch: who gets it reads the store. It is safe for
// concurrent use.
//
// Redis may be away, at the start too: then events stay within the process, and who watches sees those of others when
// it next reads the store by itself. When Redis is back, so are they, and all who watch are told to look.
type Redis struct {
	Hub

	client *redis.Client
	log    *slog.Logger
	self   string     // whose events are told here already
	out    chan topic // what others are to be told

	mu      sync.Mutex
	changed map[topic]bool // what Redis is not asked for yet (true), or still is
	wake    chan struct{}
}

// queue is how many events can wait to be told to others, before new ones are lost to them.
const queue = 4096

// NewRedis makes one. It passes events on between processes while Run runs.
func NewRedis(client *redis.Client, log *slog.Logger) *Redis {
	r := &Redis{
		client: client, log: log, self: id.New(id.Process), out: make(chan topic, queue), changed: map[topic]bool{}, wake: make(chan struct{}, 1),
	}
	r.watched = r.want
	return r
}

// Publish tells everyone who watches, in all processes. It never blocks.
func (r *Redis) Publish(e Event) {
	r.Hub.Publish(e)
	select {
	case r.out <- topic{e.Workspace, e.ID}:
	default: // Redis is slow or away: others will see it in the store
	}
}

// Progress publishes a memory: what the pipeline calls.
func (r *Redis) Progress(m memory.Memory) { r.Publish(OfMemory(m)) }

// Ping reports whether Redis answers.
func (r *Redis) Ping(ctx context.Context) error {
	return memory.Wrap(memory.CodeUnavailable, r.client.Ping(ctx).Err(), "Redis does not answer: live progress of other processes comes late, and each has a rate budget of its own")
}

// Run passes events on until ctx is done.
func (r *Redis) Run(ctx context.Context) error {
	pubsub := r.client.Subscribe(ctx)
	defer func() { _ = pubsub.Close() }() // nothing is lost with it
	var wg sync.WaitGroup
	wg.Go(func() { r.send(ctx) })
	wg.Go(func() { r.subscribe(ctx, pubsub) })
	r.receive(ctx, pubsub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(time.Second)))
	wg.Wait()
	return nil
}

// send tells others, many things in one round trip, and each thing once in it.
func (r *Redis) send(ctx context.Context) {
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-r.out:
			_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for t := range r.waiting(t) {
					p.Publish(ctx, t.channel(), r.self)
				}
				return nil
			})
			if now := err != nil && ctx.Err() == nil; now != away {
				away = now
				r.log.Warn("live progress of other processes", "redis_away", away, "error", err)
			}
		}
	}
}

// waiting is the topic and those that wait behind it.
func (r *Redis) waiting(t topic) map[topic]struct{} {
	all := map[topic]struct{}{t: {}}
	for range queue {
		select {
		case t := <-r.out:
			all[t] = struct{}{}
		default:
			return all
		}
	}
	return all
}

// want notes that somebody watches the topic, or nobody any more. The hub calls it under its lock.
func (r *Redis) want(t topic, watched bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed[t] = watched
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// subscribe asks Redis for what is watched. What it could not ask for while Redis was away, the client asks for when it
// is back.
func (r *Redis) subscribe(ctx context.Context, pubsub *redis.PubSub) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			begin, end := r.changes()
			if len(begin) > 0 {
				_ = pubsub.Subscribe(ctx, begin...) // see above
			}
			if len(end) > 0 {
				_ = pubsub.Unsubscribe(ctx, end...) // what comes all the same is nobody's
			}
		}
	}
}

func (r *Redis) changes() (begin, end []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t, watched := range r.changed {
		if watched {
			begin = append(begin, t.channel())
		} else {
			end = append(end, t.channel())
		}
	}
	clear(r.changed)
	return begin, end
}

// receive tells the watchers of this process. From when on Redis tells us is a reason to look, too: what happened before
// was not heard here.
func (r *Redis) receive(ctx context.Context, told <-chan any) {
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-told:
			if !ok {
				return
			}
			switch m := m.(type) {
			case *redis.Subscription:
				r.told(m.Channel)
			case *redis.Message:
				if m.Payload != r.self {
					r.told(m.Channel)
				}
			}
		}
	}
}

func (r *Redis) told(channel string) {
	if t, ok := topicOf(channel); ok {
		r.Hub.Publish(Event{Workspace: t.workspace, ID: t.id})
	}
}

const prefix = "switchyard:live:"

// channel is where Redis tells of the topic.
func (t topic) channel() string { return prefix + t.workspace + ":" + t.id }

func topicOf(channel string) (topic, bool) {
	rest, ours := strings.CutPrefix(channel, prefix)
	at := strings.LastIndexByte(rest, ':') // ids have none
	if !ours || at < 0 {
		return topic{}, false
	}
	return topic{rest[:at], rest[at+1:]}, true
}
