package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// batches plays the API of one batch.
func batches(t *testing.T, answer string) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if answer == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, key, client.Config{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheVerdictSeesWhatIsWrong plants everything that can go wrong between the ledger and what there is.
func TestTheVerdictSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	const well = `{"id":"bat_1","status":"completed","counts":{"total":2,"completed":2}}`
	done := func(id string) memory.Memory { return memory.Memory{ID: id, Status: memory.StatusCompleted} }
	one := entry{Key: "k1", ID: "mem_1", Hook: true}
	two := entry{Key: "b", ID: "bat_1", Lines: 2}
	for name, row := range map[string]struct {
		entry  entry
		stored map[string][]memory.Memory
		heard  int
		batch  string
		wrong  string // the finding; "": none
	}{
		"AllIsWell":             {one, map[string][]memory.Memory{"k1": {done("mem_1")}}, 1, well, ""},
		"ABatchIsWell":          {two, map[string][]memory.Memory{"b.0": {done("m")}, "b.1": {done("n")}}, 0, well, ""},
		"AMemoryIsGone":         {one, nil, 1, well, "lost"},
		"ALineIsGone":           {two, map[string][]memory.Memory{"b.0": {done("m")}}, 0, well, "lost"},
		"ABatchIsGone":          {two, map[string][]memory.Memory{"b.0": {done("m")}, "b.1": {done("n")}}, 0, "", "lost"},
		"AnotherIDIsThere":      {one, map[string][]memory.Memory{"k1": {done("mem_2")}}, 1, well, "lost"},
		"OneKeyIsTwoMemories":   {one, map[string][]memory.Memory{"k1": {done("mem_1"), done("mem_2")}}, 1, well, "duplicated"},
		"AMemoryIsStillOpen":    {one, map[string][]memory.Memory{"k1": {{ID: "mem_1", Status: memory.StatusProcessing}}}, 1, well, "stuck"},
		"ABatchIsStillOpen":     {two, map[string][]memory.Memory{"b.0": {done("m")}, "b.1": {done("n")}}, 0, strings.Replace(well, `"status":"completed"`, `"status":"processing"`, 1), "stuck"},
		"CountsDoNotAddUp":      {two, map[string][]memory.Memory{"b.0": {done("m")}, "b.1": {done("n")}}, 0, strings.Replace(well, `"completed":2`, `"completed":1`, 1), "untrue counts"},
		"AWebhookDidNotCome":    {one, map[string][]memory.Memory{"k1": {done("mem_1")}}, 0, well, "webhooks that never came"},
		"TwoEventsForOneEnding": {one, map[string][]memory.Memory{"k1": {done("mem_1")}}, 2, well, "told in two events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &verdict{Kills: 1, InFlight: [3]int{100, 100, 100}}
			if err := v.compare(t.Context(), batches(t, row.batch), row.entry, row.stored); err != nil {
				t.Fatal(err)
			}
			v.hook(row.entry, row.heard)
			var found []string
			for _, f := range v.broken() {
				if len(f.list) > 0 {
					found = append(found, f.what)
				}
			}
			if got := strings.Join(found, ", "); got != row.wrong {
				t.Errorf("found %q, want %q", got, row.wrong)
			}
			if err := v.err(&options{inFlight: 100}); (err != nil) != (row.wrong != "") {
				t.Errorf("the verdict is %v", err)
			}
		})
	}
}

func TestTooFewMemoriesInFlightAreNoAttack(t *testing.T) {
	t.Parallel()
	v := &verdict{Kills: 2, Memories: 1, InFlight: spread([]int{120, 99})}
	if v.err(&options{inFlight: 100}) == nil || v.err(&options{inFlight: 99}) != nil {
		t.Errorf("%v and %v", v.err(&options{inFlight: 100}), v.err(&options{inFlight: 99}))
	}
}

// TestAnswersArePaidOnceButForThoseInFlight asks the books about answers around a kill.
func TestAnswersArePaidOnceButForThoseInFlight(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	killed := []disturbance{{"serve-0", "kill", at(10), at(10)}}
	for name, row := range map[string]struct {
		first       payment
		unexplained int
	}{
		"InFlightAtTheKill":     {payment{"serve-0", at(8), at(11)}, 0},
		"AnsweredJustBeforeIt":  {payment{"serve-0", at(8), at(9.9)}, 0},
		"AnsweredLongBeforeIt":  {payment{"serve-0", at(1), at(3)}, 1},
		"AskedAfterIt":          {payment{"serve-0", at(10.5), at(12)}, 1},
		"AskedByAnotherProcess": {payment{"worker-2", at(8), at(11)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &model{paid: map[question][]payment{
				{"Graph", "x"}: {row.first, {"worker-2", at(20), at(22)}},
				{"Graph", "y"}: {{"serve-0", at(1), at(2)}},
			}}
			answers, allowed, twice, unexplained := m.doubts(killed)
			if want := 1 - row.unexplained; allowed != want {
				t.Errorf("%d answers might be paid for again, want %d", allowed, want)
			}
			if answers != 3 || twice != 1 || len(unexplained) != row.unexplained {
				t.Errorf("%d answers, %d twice, unexplained %v; want 3, 1 and %d", answers, twice, unexplained, row.unexplained)
			}
		})
	}
}

// TestWhoWritesOverASuccessorIsSeen: the use cases of serve-0 came when a worker had the memory already.
func TestWhoWritesOverASuccessorIsSeen(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(1000+int64(s), 0) }
	for name, row := range map[string]struct {
		worker payment // for use cases
		graph  payment
		want   int
	}{
		"ItStopped":                  {payment{"worker-2", at(5), at(8)}, payment{"worker-2", at(9), at(12)}, 0},
		"ItWentOn":                   {payment{"worker-2", at(5), at(8)}, payment{"serve-0", at(7), at(10)}, 1},
		"TheWorkerWasLater":          {payment{"worker-2", at(8), at(11)}, payment{"serve-0", at(7), at(10)}, 0},
		"AnotherProcessAskedForThat": {payment{"worker-2", at(5), at(8)}, payment{"serve-1", at(7), at(10)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &model{paid: map[question][]payment{
				{"UseCases", "x"}: {{"serve-0", at(1), at(6)}, row.worker}, {"Graph", "x"}: {row.graph},
			}}
			if got := m.overtaken(); len(got) != row.want {
				t.Errorf("seen: %v, want %d", got, row.want)
			}
		})
	}
}

func TestAReceiverTellsTheSameEventFromAnother(t *testing.T) {
	t.Parallel()
	h := &hooks{seen: map[string]int{}, told: map[string]map[string]bool{}}
	for _, id := range []string{"evt_1", "evt_1"} {
		h.accept(id, memory.EventMemoryCompleted, "mem_1")
	}
	h.accept("evt_0", memory.EventBatchProgress, "mem_1")
	if h.news("mem_1") != 1 || h.repeats != 1 {
		t.Errorf("%d events, %d repeats; want one of each", h.news("mem_1"), h.repeats)
	}
	if h.accept("evt_2", memory.EventMemoryCompleted, "mem_1"); h.news("mem_1") != 2 {
		t.Errorf("%d events, want 2", h.news("mem_1"))
	}
}

func TestASeedRepeatsTheSchedule(t *testing.T) {
	t.Parallel()
	rounds := make([][]round, 3)
	for i, seed := range []uint64{7, 7, 8} {
		p := newPlan(seed, 4, time.Second, onTemporal, onMongo)
		for n := range 200 {
			rounds[i] = append(rounds[i], p.round(n))
		}
	}
	if !reflect.DeepEqual(rounds[0], rounds[1]) || reflect.DeepEqual(rounds[0], rounds[2]) {
		t.Error("the same seed must give the same plan, another one another")
	}
	kinds, moments := map[string]bool{}, map[moment]bool{}
	for _, r := range rounds[0] {
		moments[r.moment] = true
		for _, b := range r.before {
			kinds[b.label()] = true
		}
	}
	if len(kinds) != 10 || len(moments) != 3 {
		t.Errorf("200 rounds bring %v only, at %v", kinds, moments)
	}
}

// TestAnAttackGoesOnUntilBothAreReached holds -kills and -for to what they say.
func TestAnAttackGoesOnUntilBothAreReached(t *testing.T) {
	t.Parallel()
	s := &siege{until: extent{kills: 3, lasts: time.Hour}}
	for _, row := range []struct {
		round int
		after time.Duration
		want  bool
	}{{0, 0, true}, {3, time.Minute, true}, {2, 2 * time.Hour, true}, {3, 2 * time.Hour, false}} {
		if got := s.goesOn(row.round, row.after); got != row.want {
			t.Errorf("after %d kills and %v: %v", row.round, row.after, got)
		}
	}
}

func TestALedgerIsOnDiskBeforeTheClientGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := newLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.write(entry{Key: "k", ID: "mem_1"}); err != nil || len(l.all()) != 1 {
		t.Errorf("%v, %v", err, l.all())
	}
	if _, err := newLedger(path); err == nil {
		t.Error("a ledger was begun over another one")
	}
}

func TestKillsAreSharedOut(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		kills int
		names []string
		want  []int
	}{
		{200, []string{"split", "dev"}, []int{150, 50}}, {7, []string{"split", "dev"}, []int{5, 2}}, {9, []string{"dev"}, []int{9}},
	} {
		if got := share(row.kills, row.names); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%d kills of %v are shared out as %v, want %v", row.kills, row.names, got, row.want)
		}
	}
}
