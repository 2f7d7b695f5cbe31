package static

import "testing"

// paraphrases are triples: a text, the same in other words, and a decoy that means something else but begins or ends
// as the text does. A mean of token vectors is easily led astray by the decoy; all-MiniLM-L6-v2 itself takes 4 of them
// for the paraphrase.
var paraphrases = [][3]string{
	{"Nora adopted a cat from the shelter", "She gave a rescued kitten a home", "Nora has a meeting about the budget"},
	{"The meeting was moved to Friday", "We rescheduled the appointment", "On Friday he baked a loaf of bread"},
	{"He is allergic to peanuts", "Nuts make him ill", "He is married to Susan"},
	{"I lost my job last week", "They fired me from work", "Last week it snowed in the mountains"},
	{"The server crashed during the night", "There was an outage of the system", "We danced all night at her wedding"},
	{"My sister is expecting a baby", "She is pregnant", "My sister sold her bicycle"},
	{"We are going to the beach on holiday", "A vacation by the sea", "We are going to paint the kitchen"},
	{"The doctor prescribed antibiotics", "A physician gave me medicine", "The doctor bought a guitar"},
	{"She plays the violin in an orchestra", "A musician with the symphony", "She works in an office"},
	{"The price of the flat went up", "Rent for the apartment increased", "We went up the hill with the dog"},
	{"He repaired the car himself", "Fixing the vehicle", "He taught himself French"},
	{"I cannot sleep at night", "She suffers from insomnia", "I cannot find my umbrella"},
	{"The children built a snowman", "Kids playing in winter weather", "The children ate all of the cake"},
	{"They won the football match", "Victory for the soccer team", "They rented a house in Spain"},
	{"The boat sank in the storm", "A ship went down in rough weather", "In the end the jury found him guilty"},
	{"She wants to become a lawyer", "A career as an attorney", "She wants to sleep"},
	{"He cooked pasta for dinner", "An Italian meal in the evening", "He apologised for the noise"},
	{"The password must be changed", "Update your login credentials", "The baby must be fed"},
	{"Grandfather died in the spring", "We mourn the death of grandpa", "In the spring prices fell"},
	{"I am learning to speak Spanish", "Studying a foreign language", "I am waiting for the plumber"},
	{"The company laid off workers", "Employees were dismissed by the firm", "The company of her cat cheers her up"},
	{"It rained the whole day", "The weather was wet", "She read the whole book"},
	{"He proposed to his girlfriend", "They got engaged to be married", "He sent his boss the report"},
	{"The train was late again", "A delay on the railway", "The soup was salty again"},
	{"My flight was cancelled", "The airline called off my plane", "My neighbour painted his fence"},
	{"She broke her leg skiing", "An accident in the snow injured her", "She broke the news to her boss"},
	{"He quit smoking", "He gave up cigarettes", "He quit the meeting early"},
	{"The bank refused the loan", "They would not lend us money", "The bank of the river was muddy"},
	{"We bought a house", "They purchased a new home", "We bought a melon"},
	{"The kids caught a cold", "The children are sick", "The kids caught a fish"},
	{"Their daughter graduated", "She finished university", "Their daughter likes spinach"},
	{"I hate getting up early", "Mornings are hard for me", "I hate this wallpaper"},
	{"The wedding is in June", "They will get married this summer", "The exam is in June"},
	{"He drives a truck for a living", "His occupation is transporting freight", "He drives his aunt mad"},
	{"She is scared of spiders", "Insects frighten her", "She is proud of her garden"},
	{"The phone battery is empty", "My mobile needs charging", "The fridge is empty"},
	{"Please turn down the music", "It is too loud", "Please turn left here"},
	{"The thief stole my wallet", "I was robbed", "The waiter brought my soup"},
	{"The new phone is too expensive", "It costs more than we can afford", "The new colleague is from Norway"},
	{"He jogs every morning", "Running is his daily exercise", "He shaves every morning"},
	{"She writes novels", "An author of fiction", "She writes with her left hand"},
	{"The plants need water", "Do not forget to irrigate the garden", "The plants are made of plastic"},
	{"The software has a bug", "There is an error in the program", "The software was sold in boxes"},
	{"My parents divorced", "Mum and dad split up", "My parents like opera"},
	{"He is a vegetarian", "He does not eat meat", "He is a plumber"},
	{"I was stuck in traffic", "The roads were congested", "I was stuck on a question"},
	{"Our team lost the final", "We were defeated in the championship", "Our team ordered pizza"},
	{"The lawyer advised her to settle", "Legal counsel recommended an agreement", "The lawyer watered the roses"},
}

func TestParaphrasesAreNearerThanStrangers(t *testing.T) {
	t.Parallel()
	m := load(t)
	t.Run("ThanTextsAboutSomethingElse", func(t *testing.T) {
		t.Parallel()
		atLeast(t, 0.9, func(i int) bool {
			stranger := paraphrases[(i+1)%len(paraphrases)]
			return nearer(m, paraphrases[i][0], paraphrases[i][1], stranger[0])
		})
	})
	t.Run("ThanEveryOtherTextHere", func(t *testing.T) {
		t.Parallel()
		atLeast(t, 0.75, func(i int) bool { return nearest(m, paraphrases[i][1]) == paraphrases[i][0] })
	})
	t.Run("ThanDecoysMoreOftenThanNot", func(t *testing.T) { // the known weakness, kept in sight
		t.Parallel()
		atLeast(t, 0.65, func(i int) bool {
			return nearer(m, paraphrases[i][0], paraphrases[i][1], paraphrases[i][2])
		})
	})
}

// atLeast fails unless the share of the paraphrases that are right is least or more.
func atLeast(t *testing.T, least float64, right func(i int) bool) {
	t.Helper()
	count := 0
	for i, p := range paraphrases {
		if right(i) {
			count++
			continue
		}
		t.Logf("not right: %q", p[0])
	}
	if float64(count) < least*float64(len(paraphrases)) {
		t.Errorf("%d of %d are right", count, len(paraphrases))
	}
}

// nearer says whether a text is nearer to one than to the other.
func nearer(m *Model, text, one, other string) bool {
	v := m.Embed(text)
	return dot(v, m.Embed(one)) > dot(v, m.Embed(other))
}

// nearest finds, among the texts and their decoys, the one nearest to a query.
func nearest(m *Model, query string) string {
	v, best, found := m.Embed(query), -1.0, ""
	for _, p := range paraphrases {
		for _, text := range []string{p[0], p[2]} {
			if near := dot(v, m.Embed(text)); near > best {
				best, found = near, text
			}
		}
	}
	return found
}
