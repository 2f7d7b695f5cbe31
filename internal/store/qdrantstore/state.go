package qdrantstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// state says which collection is in force. It is one point in a collection of its own, changed by comparing its revision:
// of two processes that change it at the same time, one is told to look again. (An alias could name the collection in
// force, but whoever sets an alias last has it.)
type state struct {
	Current  store.Model // the zero Model: nothing is stored yet
	Next     store.Model // what is being moved to
	Previous store.Model // what was moved from and is still there
	Progress string      // how far the move is, in its own words
	Revision int64       // 0: not stored
	Writer   string      // of this revision
}

const (
	stateID       = 1
	fieldState    = "state"
	fieldRevision = "revision"

	// stateAge is how long a state that was read is taken to be in force for reading. A write asks again when it is done.
	stateAge = 10 * time.Second
)

var stateIndexes = map[string]*qdrant.PayloadIndexParams{ //nolint:gochecknoglobals // a constant table
	fieldRevision: qdrant.NewPayloadIndexParamsInt(&qdrant.IntegerIndexParams{Lookup: new(true), Range: new(true)}),
}

func (s *Store) ensureState(ctx context.Context) error {
	return s.ensure(ctx, &qdrant.CreateCollection{
		CollectionName: s.stateName(),
		// A collection is for vectors of some kind, though this one will never have any.
		SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{sparse: {}}),
		ShardNumber:         new(uint32(1)),
		ReplicationFactor:   optional(s.cfg.Replicas),
	}, stateIndexes)
}

// readState asks the server, and remembers.
func (s *Store) readState(ctx context.Context) (state, error) {
	points, err := s.client.Get(ctx, &qdrant.GetPoints{
		CollectionName: s.stateName(), Ids: []*qdrant.PointId{qdrant.NewIDNum(stateID)}, WithPayload: qdrant.NewWithPayload(true),
	})
	if err != nil && !isNotFound(err) {
		return state{}, wrap(err)
	}
	var st state
	if len(points) > 0 {
		if err := json.Unmarshal([]byte(points[0].GetPayload()[fieldState].GetStringValue()), &st); err != nil {
			return state{}, memory.Wrap(memory.CodeInternal, err, "what Qdrant holds of the state of this store cannot be read")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.at = st, time.Now()
	return st, nil
}

// inForce is the state as it was not long ago.
func (s *Store) inForce(ctx context.Context) (state, error) {
	s.mu.Lock()
	last, age := s.last, time.Since(s.at)
	s.mu.Unlock()
	if last.Current != (store.Model{}) && age < stateAge {
		return last, nil
	}
	return s.readState(ctx)
}

// change stores the state that change makes of the one in force. It tries again where another process was quicker, or so
// quick after it that it cannot tell: what a change does may be done twice.
func (s *Store) change(ctx context.Context, change func(*state) error) error {
	for range 10 {
		st, err := s.readState(ctx)
		if err != nil {
			return err
		}
		before := st
		if err := change(&st); err != nil {
			return err
		}
		if st == before {
			return nil
		}
		st.Revision++
		st.Writer = id.New(id.Request)
		if err := s.writeState(ctx, st); err != nil {
			return err
		}
		if now, err := s.readState(ctx); err != nil || now == st {
			return err
		}
	}
	return memory.Errorf(memory.CodeUnavailable, "too many processes change the state of the vectors at the same time")
}

// writeState stores the state if the one stored is of the revision before.
func (s *Store) writeState(ctx context.Context, st state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	up := &qdrant.UpsertPoints{
		CollectionName: s.stateName(), Wait: new(true), Ordering: &qdrant.WriteOrdering{Type: qdrant.WriteOrderingType_Strong},
		Points: []*qdrant.PointStruct{{
			Id: qdrant.NewIDNum(stateID), Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{}),
			Payload: qdrant.NewValueMap(map[string]any{fieldState: string(text), fieldRevision: st.Revision}),
		}},
	}
	if st.Revision == 1 {
		up.UpdateMode = qdrant.UpdateMode_InsertOnly.Enum()
	} else {
		up.UpdateMode = qdrant.UpdateMode_UpdateOnly.Enum()
		up.UpdateFilter = &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatchInt(fieldRevision, st.Revision-1)}}
	}
	_, err = s.client.Upsert(ctx, up)
	return wrap(err)
}

// settle makes m the model of the store, if it has none yet.
func (s *Store) settle(ctx context.Context, m store.Model) error {
	st, err := s.inForce(ctx)
	if err != nil {
		return err
	}
	if st.Current == m {
		return nil
	}
	if st.Current == (store.Model{}) {
		if err := s.Migrate(ctx, m); err != nil {
			return err
		}
	}
	return s.change(ctx, func(st *state) error {
		if st.Current == (store.Model{}) {
			st.Current = m
		}
		return st.Current.Same(m)
	})
}
