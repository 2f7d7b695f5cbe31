package local_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/local"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExtractor(t *testing.T) {
	llmtest.Extractor(t, func(testing.TB) llm.Extractor { return local.NewExtractor() })
}

func TestEmbedder(t *testing.T) {
	llmtest.Embedder(t, func(tb testing.TB) llm.Embedder { return embedder(tb) })
}

func embedder(tb testing.TB) *local.Embedder {
	tb.Helper()
	e, err := local.NewEmbedder()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestReceiptsSayThatItIsLocal(t *testing.T) {
	t.Parallel()
	e, v := local.NewExtractor(), embedder(t)
	u, err := e.UseCases(t.Context(), llm.Question{Content: "x"})
	g, err2 := e.Graph(t.Context(), llm.Question{Content: "x"})
	vs, err3 := v.Embed(t.Context(), []string{"x"})
	if err != nil || err2 != nil || err3 != nil {
		t.Fatal(err, err2, err3)
	}
	if want := (llm.Usage{Model: "local/rules-v1"}); u.Usage != want || g.Usage != want || e.Model() != want.Model {
		t.Errorf("%+v, %+v, %s", u.Usage, g.Usage, e.Model())
	}
	if want := (llm.Usage{Model: v.Model()}); vs.Usage != want || !strings.HasPrefix(v.Model(), "local/") || len(vs.Vectors[0]) != v.Dimensions() {
		t.Errorf("%+v, %s, %d dimensions", vs.Usage, v.Model(), len(vs.Vectors[0]))
	}
}

// The paragraphs are from L. Frank Baum, The Wonderful Wizard of Oz (1900).
const (
	prairie = "Dorothy lived in the midst of the great Kansas prairies, with Uncle Henry, who was a farmer, and Aunt Em, who was " +
		"the farmer’s wife. Their house was small, for the lumber to build it had to be carried by wagon many miles."
	toto = "It was Toto that made Dorothy laugh, and saved her from growing as gray as her other surroundings. Toto was not gray; he " +
		"was a little black dog, with long silky hair and small black eyes that twinkled merrily on either side of his funny, wee " +
		"nose. Toto played all day long, and Dorothy played with him, and loved him dearly."
	jumped = "“Quick, Dorothy!” she screamed. “Run for the cellar!” Toto jumped out of Dorothy’s arms and hid under the bed, and the " +
		"girl started to get him. Aunt Em, badly frightened, threw open the trap door in the floor."
	suddenly = "Suddenly Uncle Henry stood up. “There’s a cyclone coming, Em,” he called to his wife."
	emerald  = "“Then you must go to the City of Emeralds. Perhaps Oz will help you.” But the Wicked Witch of the West hated him."
	tin      = "The Tin Woodman gave a sigh of satisfaction and lowered his axe.\nThe Cowardly Lion did not follow the Scarecrow."
)

func graph(t *testing.T, q llm.Question) llm.Graph {
	t.Helper()
	g, err := local.NewExtractor().Graph(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	llmtest.CheckGraph(t, g)
	return g
}

func of(g llm.Graph, kind string) []string {
	var out []string
	for _, n := range g.Nodes {
		if n.Type == kind {
			out = append(out, n.Name)
		}
	}
	return out
}

func joined(g llm.Graph) []string {
	var out []string
	for _, r := range g.Relationships {
		out = append(out, fmt.Sprint(g.Nodes[r.From].Name, " ", r.Type, " ", g.Nodes[r.To].Name))
	}
	return out
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"Titles":                    {prairie, []string{"Dorothy", "Kansas", "Uncle Henry", "Aunt Em"}},
		"AtTheStartOfASentence":     {toto, []string{"Toto", "Dorothy"}},
		"Possessive":                {jumped, []string{"Dorothy", "Toto", "Aunt Em"}},
		"AdverbBeforeAName":         {suddenly, []string{"Uncle Henry", "Em"}},
		"JoinedByOf":                {emerald, []string{"City of Emeralds", "Oz", "Wicked Witch of the West"}},
		"ArticleAndTwoWords":        {tin, []string{"Tin Woodman", "Cowardly Lion", "Scarecrow"}},
		"Speakers":                  {"Caroline: Hey Mel! Good to see you!\nMelanie: I'm swamped with the kids & work.", []string{"Caroline", "Mel", "Melanie"}},
		"SpeakerNamedLikeAWord":     {"Hope: I went home.\nNote: buy milk.", []string{"Hope"}},
		"Acronyms":                  {"I went to a LGBTQ support group with the NHS.", []string{"LGBTQ", "NHS"}},
		"Abbreviations":             {"Dr. Ann Lee met J. R. Smith and Mrs. Gale in St. Louis.", []string{"Dr Ann Lee", "J R Smith", "Mrs Gale", "St Louis"}},
		"WordThatIsANameElsewhere":  {"Summer came late. I saw that Summer was tall.", []string{"Summer"}},
		"WordThatIsLowerElsewhere":  {"Brontosaurs were big. The brontosaurs died.", nil},
		"Contractions":              {"I'm tired. They're here. Don't go. It's Oslo's fault. We'd met Ann.", []string{"Oslo", "Ann"}},
		"OneWordStressed":           {"This is REALLY GOOD, it was INTENSE.", nil},
		"MonthsAndDays":             {"On Monday we met. In May they left. June was hot.", nil},
		"OneNameInSeveralSpellings": {"I like Toto. My dog TOTO barks, says Toto.", []string{"Toto"}},
		"OtherAlphabets":            {"Тогда приехал Иван в Москву. Ich sah Jürgen Müller in Köln.", []string{"Тогда", "Иван", "Москву", "Ich", "Jürgen Müller", "Köln"}},
		"NothingCapitalised":        {"we ate an apple pie", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := of(graph(t, llm.Question{Content: c.content}), local.Entity)
			slices.Sort(got)
			slices.Sort(c.want)
			if !cmp.Equal(got, c.want) {
				t.Error(cmp.Diff(c.want, got))
			}
		})
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for content, want := range map[string][]string{
		"We met on 2023-05-08.":                             {"2023-05-08"},
		"We met on May 8, 2023, and again on May 8th 2023.": {"2023-05-08"},
		"We met on 8 May 2023 or the 9th of May 2023.":      {"2023-05-08", "2023-05-09"},
		"We moved in May 2023.":                             {"2023-05"},
		"The book came out in 1900.":                        {"1900"},
		"See you on the 4th of July, or on Sept 1.":         {"July 4", "September 1"},
		"It cost 2000 crowns and 1900 steps.":               nil,
		"I may go in summer. You may 8 of them.":            nil,
		"Yesterday was Monday, May was hot.":                nil,
		"On 5/8/2023 the 31 cats came.":                     {"5/8/2023"},
		"Feb 2 was cold. It was 2024-02 then.":              {"February 2", "2024-02"},
	} {
		if got := of(graph(t, llm.Question{Content: content}), local.Date); !cmp.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", content, got, want)
		}
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		want    []string // among them
		without []string
	}{
		"Nouns":    {prairie, []string{"farmer", "wife", "lumber", "house"}, []string{"small", "carried", "lived", "dorothy"}},
		"Pairs":    {jumped, []string{"trap door", "arms", "bed", "girl"}, []string{"door", "trap", "frightened", "run"}},
		"Gerunds":  {"I love painting and I was talking about a charity race.", []string{"painting", "charity race"}, []string{"talking", "love"}},
		"Chinese":  {"多萝西在堪萨斯，和托托。", []string{"多萝西", "堪萨斯", "托托"}, nil},
		"Japanese": {"東京タワーは高いです", []string{"東京タワー"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := of(graph(t, llm.Question{Content: c.content}), local.Concept)
			for _, w := range c.want {
				if !slices.Contains(got, w) {
					t.Errorf("no %q in %q", w, got)
				}
			}
			for _, w := range c.without {
				if slices.Contains(got, w) {
					t.Errorf("%q is in %q", w, got)
				}
			}
		})
	}
}

func TestRelationships(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		want    []string // among them
		without []string // parts of none of them
	}{
		"VerbAndPreposition": {prairie, []string{"Dorothy LIVED_IN Kansas", "Aunt Em MENTIONED_WITH Uncle Henry"}, nil},
		"Neighbours":         {toto, []string{"Dorothy MENTIONED_WITH Toto"}, []string{"PLAYED"}},
		"VerbAlone":          {"The Scarecrow wanted brains from the great Wizard.", []string{"Scarecrow WANTED brains", "Scarecrow WANTED_FROM Wizard"}, nil},
		"Passive":            {"The Lion was carried by the Woodman.", []string{"Lion CARRIED_BY Woodman"}, nil},
		"DeniedSaysNothing":  {tin, []string{"Cowardly Lion MENTIONED_WITH Scarecrow"}, []string{"FOLLOW"}},
		"SpeakerWhoSaysI": {"Caroline: I went to a support group yesterday.\nMelanie: What about the painting?",
			[]string{"Caroline WENT_TO support group", "Melanie SPOKE_OF painting"}, []string{"Caroline SPOKE_OF", "Caroline MENTIONED"}},
		"NotAcrossSentences": {"Dorothy laughed. Toto barked.", nil, []string{"MENTIONED_WITH"}},
		"DatesToo":           {"Ann moved to Oslo in May 2019.", []string{"Ann MOVED_TO Oslo", "2019-05 MENTIONED_WITH Oslo"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := joined(graph(t, llm.Question{Content: c.content}))
			for _, w := range c.want {
				if !slices.Contains(got, w) {
					t.Errorf("no %q in %q", w, got)
				}
			}
			for _, w := range c.without {
				if strings.Contains(strings.Join(got, ";"), w) {
					t.Errorf("%q is in %q", w, got)
				}
			}
		})
	}
}

// A name has one type and one spelling of its date in every memory, so that their graphs meet.
func TestMemoriesMeet(t *testing.T) {
	t.Parallel()
	a, b := graph(t, llm.Question{Content: prairie}), graph(t, llm.Question{Content: jumped})
	for _, name := range []string{"Dorothy", "Aunt Em"} {
		if !slices.Contains(of(a, local.Entity), name) || !slices.Contains(of(b, local.Entity), name) {
			t.Errorf("%s is not in both: %+v, %+v", name, a.Nodes, b.Nodes)
		}
	}
}

func TestSizesAreCapped(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "Then Zor%c%c met the old farmer of Quib%c%c in %d with a basket of fruit%c. ", 'a'+i%26, 'a'+i/26, 'a'+i/26, 'a'+i%26, 1500+i, 'a'+i%26)
	}
	g := graph(t, llm.Question{Content: b.String()})
	if len(g.Nodes) != 20 || len(g.Relationships) > 40 || len(of(g, local.Entity)) != 12 || len(of(g, local.Date)) != 4 {
		t.Errorf("%d nodes, %d relationships", len(g.Nodes), len(g.Relationships))
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	named := func(names ...string) []llm.Type {
		var out []llm.Type
		for _, n := range names {
			out = append(out, llm.Type{Name: n})
		}
		return out
	}
	const content = "The Scarecrow wanted brains. Dorothy and the Scarecrow met."
	for name, c := range map[string]struct {
		schema llm.Schema
		nodes  []string
		joined []string
		notice bool
	}{
		"Open": {llm.Schema{}, []string{"Entity Scarecrow", "Entity Dorothy", "Concept brains"},
			[]string{"Scarecrow WANTED brains", "Dorothy MENTIONED_WITH Scarecrow"}, false},
		"OpenWithASpelling": {llm.Schema{Nodes: named("ENTITY"), Relationships: named("wanted")},
			[]string{"ENTITY Scarecrow", "ENTITY Dorothy", "Concept brains"}, []string{"Scarecrow wanted brains", "Dorothy MENTIONED_WITH Scarecrow"}, false},
		"StrictWithAll": {llm.Schema{Mode: "strict", Nodes: named("Entity", "Concept"), Relationships: named("MENTIONED_WITH")},
			[]string{"Entity Scarecrow", "Entity Dorothy", "Concept brains"},
			[]string{"Scarecrow MENTIONED_WITH brains", "Dorothy MENTIONED_WITH Scarecrow"}, false},
		"StrictWithSome": {llm.Schema{Mode: "strict", Nodes: named("Concept", "Entity"), Relationships: named("Wanted")},
			[]string{"Entity Scarecrow", "Entity Dorothy", "Concept brains"}, []string{"Scarecrow Wanted brains"}, true},
		"StrictWithOthers": {llm.Schema{Mode: "strict", Nodes: named("Person"), Relationships: named("KNOWS")}, nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := graph(t, llm.Question{Content: content, Schema: c.schema})
			var nodes []string
			for _, n := range g.Nodes {
				nodes = append(nodes, n.Type+" "+n.Name)
			}
			if !cmp.Equal(nodes, c.nodes) || !cmp.Equal(joined(g), c.joined) || (g.Usage.Notice != "") != c.notice {
				t.Errorf("%s\n%s\n%q", cmp.Diff(c.nodes, nodes), cmp.Diff(c.joined, joined(g)), g.Usage.Notice)
			}
		})
	}
}

func TestUseCases(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		want    []string // among them
	}{
		"Where":       {prairie, []string{"Recall where Dorothy lived", "Explain how Dorothy and Kansas are connected"}},
		"What":        {"The Scarecrow wanted brains.", []string{"Recall what the Scarecrow wanted", "Find memories about brains"}},
		"Purpose":     {"Ann wanted to see Oslo.", []string{"Recall what Ann wanted to do"}},
		"When":        {"At noon Dorothy slept.", []string{"Recall when Dorothy slept"}},
		"Company":     {"Toto played with Dorothy.", []string{"Recall with whom Toto played"}},
		"NameAndTerm": {"They crossed the Kansas prairies.", []string{"Find memories about Kansas prairies"}},
		"Speaker":     {"Caroline: I love my new guitar.", []string{"Recall what Caroline loves", "Recall what Caroline said about guitar"}},
		"DayIsOn":     {"The party is on May 8, 2023.", []string{"Recall what happened on 2023-05-08"}},
		"YearIsIn":    {"She was born in 1985.", []string{"Recall what happened in 1985"}},
		"Emoji":       {"🎉🎉", []string{"Recall the note that says “🎉🎉”"}},
		"Chinese":     {"我在堪萨斯", []string{"Find memories about 堪萨斯"}},
		"Blank":       {" \n", []string{"Recall this memory"}},
		"Number":      {"42", []string{"Recall the note that says “42”"}},
		"Long":        {strings.Repeat("x", 500), []string{"Recall the note that says “" + strings.Repeat("x", 60) + "”"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := local.NewExtractor().UseCases(t.Context(), llm.Question{Content: c.content})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.want {
				if !slices.Contains(got.UseCases, w) {
					t.Errorf("no %q in %q", w, got.UseCases)
				}
			}
		})
	}
}

// The same memory read in process and through OpenAI's API, over a socket, gives the same graph.
func TestOverASocket(t *testing.T) {
	t.Parallel()
	s, err := llmtest.NewServer(llmtest.Config{Extractor: local.NewExtractor(), Embedder: embedder(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	remote, err := openai.NewExtractor(openai.Config{BaseURL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	for _, content := range []string{prairie, toto, jumped, emerald, tin, "Caroline: I went to a support group on May 7, 2023."} {
		want := graph(t, llm.Question{Content: content})
		got, err := remote.Graph(t.Context(), llm.Question{Content: content})
		if got.Usage = want.Usage; err != nil || !cmp.Equal(got, want) {
			t.Errorf("%v, %s", err, cmp.Diff(want, got))
		}
	}
}

func TestEmbeddingIsNormalised(t *testing.T) {
	t.Parallel()
	e := embedder(t)
	v, err := e.Embed(t.Context(), []string{"Who lived in Kansas?", prairie, "The invoice for the printer is overdue."})
	if err != nil {
		t.Fatal(err)
	}
	if near, far := dot(v.Vectors[0], v.Vectors[1]), dot(v.Vectors[0], v.Vectors[2]); near < far+0.1 {
		t.Errorf("the answer is at %f, something else at %f", near, far)
	}
}

func dot(a, b []float32) (sum float32) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func FuzzExtractor(f *testing.F) {
	for _, s := range []string{prairie, toto, jumped, emerald, tin, "A: b\nC D: I e 8 May", "May 8th of May 2023-05-08", "多萝西 X's", "'’-.:", "Ⅷ ǅ İ ß"} {
		f.Add(s)
	}
	e := local.NewExtractor()
	f.Fuzz(func(t *testing.T, content string) {
		if !utf8.ValidString(content) {
			return
		}
		g, err := e.Graph(context.Background(), llm.Question{Content: content})
		if err != nil {
			t.Fatal(err)
		}
		llmtest.CheckGraph(t, g)
		u, err := e.UseCases(context.Background(), llm.Question{Content: content})
		if err != nil || len(u.UseCases) < 1 || len(u.UseCases) > 8 {
			t.Fatalf("%v, %q", err, u.UseCases)
		}
		for _, s := range u.UseCases {
			if strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > 200 || !utf8.ValidString(s) {
				t.Errorf("use case %q", s)
			}
		}
	})
}

func BenchmarkExtractor(b *testing.B) {
	e := local.NewExtractor()
	for name, content := range map[string]string{"Paragraph": prairie + toto, "100kB": strings.Repeat(prairie+" "+toto+" ", 150)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if _, err := e.Graph(b.Context(), llm.Question{Content: content}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
