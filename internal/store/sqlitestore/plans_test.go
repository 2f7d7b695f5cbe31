package sqlitestore

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// mayScan are what a query may read from end to end: the lists that are its own parameters, what it has selected itself,
// and indexes that hold no more than what is open: workspaces with open memories, open batches, events that are owed.
var mayScan = regexp.MustCompile(`^SCAN CONSTANT ROW$|^SCAN (wanted|json_each|page|\(subquery-\d+\))( VIRTUAL TABLE INDEX \d+:)?$|` +
	`^SCAN \w+ USING (COVERING )?INDEX (counts_open|batches_open|owed_oldest)$`)

// checkPlans fails the test where a statement reads a table from end to end.
func checkPlans(t *testing.T, plans *sync.Map, atLeast int) {
	n := 0
	plans.Range(func(text, plan any) bool {
		n++
		for _, step := range plan.([]string) {
			if strings.HasPrefix(step, "SCAN") && !mayScan.MatchString(step) {
				t.Errorf("%s\n\t%s", text, strings.Join(plan.([]string), "\n\t"))
				break
			}
		}
		return true
	})
	if n < atLeast {
		t.Errorf("only %d statements were looked at", n)
	}
}

// explainAll asks SQLite how it finds the rows of every statement that the store has used.
func explainAll(tb testing.TB, s *Store, plans *sync.Map) {
	var texts []string
	s.stmts.Range(func(text, _ any) bool { texts = append(texts, text.(string)); return true })
	err := s.write(context.Background(), func(tx *tx) error {
		for text := range tx.stmts {
			texts = append(texts, text)
		}
		for _, text := range texts {
			if _, ok := plans.Load(text); ok || isControl(text) {
				continue
			}
			plan, err := explain(tx.conn, text)
			if err != nil {
				return err
			}
			plans.Store(text, plan)
		}
		return nil
	})
	if err != nil {
		tb.Error(err)
	}
}

func isControl(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	return word != "SELECT" && word != "WITH" && word != "INSERT" && word != "UPDATE" && word != "DELETE"
}

func explain(conn *sql.Conn, text string) ([]string, error) {
	rows, err := conn.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+text, make([]any, 300)...) // any values will do
	return collect(rows, err, func(r *sql.Rows) (detail string, err error) {
		var id, parent, unused int
		return detail, r.Scan(&id, &parent, &unused, &detail)
	})
}
