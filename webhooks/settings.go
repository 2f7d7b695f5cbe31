package webhooks

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"
)

// Settings are all that an operator can set of webhooks. Their zero value works.
type Settings struct {
	Delivery Config        `yaml:",inline"`
	Relay    RelayConfig   `yaml:"relay"`
	Guard    GuardSettings `yaml:"guard"`
	Events   EventsConfig  `yaml:",inline"`
	// TaskQueue is Temporal's, for the retries. Default: "switchyard-webhooks".
	TaskQueue string `yaml:"task_queue"`
	// OldKeys are keys that sealed secrets before the present one did: such secrets still open. Default: none.
	OldKeys []string `yaml:"old_keys"`
}

// GuardSettings are a [GuardConfig] as it is written in a file.
type GuardSettings struct {
	// Ports that may be reached, such as "443,8000-8999". Default: "80,443,1024-65535".
	Ports string `yaml:"ports"`
	// HTTPSOnly refuses http URLs. Default: false.
	HTTPSOnly bool `yaml:"https_only"`
	// Proxy is the URL of an HTTP proxy that every webhook goes through. The proxy resolves names anew, so it should have
	// a guard of its own; proxies named by HTTP_PROXY and the like are never used. Default: none.
	Proxy string `yaml:"proxy"`
	// CAFile names a PEM file with authorities that verify receivers besides those of the system. Default: none.
	CAFile string `yaml:"ca_file"`
}

// Validate says what is wrong with the settings.
func (s Settings) Validate() error {
	_, errGuard := s.Guard.Config("")
	return errors.Join(errGuard, s.Delivery.Schedule.validate(), s.Delivery.validate(), s.Relay.validate(), s.Events.validate(), s.validateKeys())
}

func (s Settings) validateKeys() error {
	for i, k := range s.OldKeys {
		if _, err := ParseSealKey(k); err != nil {
			return fmt.Errorf("webhooks.old_keys: the key at place %d: %w", i+1, err)
		}
	}
	return nil
}

// Sealer seals with the key given, and opens what the old keys sealed too.
func (s Settings) Sealer(key SealKey) (*Sealer, error) {
	var old []SealKey
	for _, text := range s.OldKeys {
		k, err := ParseSealKey(text)
		if err != nil {
			return nil, fmt.Errorf("webhooks.old_keys: %w", err)
		}
		old = append(old, k)
	}
	return NewSealer(key, old...)
}

// Config is what the settings say, with a list of networks as [ParseAllow] reads it.
func (s GuardSettings) Config(allow string) (c GuardConfig, err error) {
	var errAllow, errPorts, errProxy, errCA error
	if c.Allow, errAllow = ParseAllow(allow); errAllow != nil {
		errAllow = fmt.Errorf("SWITCHYARD_WEBHOOK_ALLOW: %w", errAllow)
	}
	if s.Ports != "" {
		if c.Ports, errPorts = ParsePorts(s.Ports); errPorts != nil {
			errPorts = fmt.Errorf("webhooks.guard.ports: %w", errPorts)
		}
	}
	c.HTTPSOnly = s.HTTPSOnly
	c.Proxy, errProxy = parseProxy(s.Proxy)
	c.RootCAs, errCA = loadCAs(s.CAFile)
	return c, errors.Join(errAllow, errPorts, errProxy, errCA)
}

func parseProxy(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text) // its error may show a password
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		return nil, errors.New("webhooks.guard.proxy: must be the URL of a proxy, such as http://proxy:3128")
	}
	return u, nil
}

func loadCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("webhooks.guard.ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("webhooks.guard.ca_file: %s has no certificate", file)
	}
	return pool, nil
}

// maxSchedule bounds a schedule: what is delivered later than that has been forgotten.
const maxSchedule = 30 * 24 * time.Hour

func (s Schedule) validate() error {
	sum := time.Duration(0)
	for _, d := range s.Delays {
		if sum += d; d < 0 || d > maxSchedule {
			return errors.New("webhooks.schedule.delays: each must be between 0 and 720h")
		}
	}
	if sum > maxSchedule {
		return errors.New("webhooks.schedule.delays: together they must stay under 720h, for which deliveries are kept")
	}
	if s.Jitter > 1 {
		return errors.New("webhooks.schedule.jitter: must be at most 1")
	}
	return nil
}

func (c Config) validate() error {
	for name, v := range map[string]int{
		"per_endpoint": c.PerEndpoint, "total": c.Total, "queue_per_endpoint": c.QueuePerEndpoint, "queue": c.Queue, "queue_bytes": c.QueueBytes,
		"timeout": int(c.Timeout), "failing_for": int(c.FailingFor),
	} {
		if v < 0 {
			return fmt.Errorf("webhooks.%s: must not be below 0", name)
		}
	}
	if c.Timeout > time.Minute {
		return errors.New("webhooks.timeout: must be at most 1m: an attempt is an activity of two minutes")
	}
	return nil
}

func (c RelayConfig) validate() error {
	for name, v := range map[string]int{
		"poll": int(c.Poll), "page": c.Page, "sweep": int(c.Sweep), "sweep_page": c.SweepPage, "first_lease": int(c.FirstLease),
		"keep": int(c.Keep), "count": int(c.Count),
	} {
		if v < 0 {
			return fmt.Errorf("webhooks.relay.%s: must not be below 0", name)
		}
	}
	return nil
}
