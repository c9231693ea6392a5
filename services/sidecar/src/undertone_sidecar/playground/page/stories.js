// Short stories of this project, for a first try. Their licence is that of the project.

/** Stories with a title and a text whose paragraphs are separated by blank lines. */
export const STORIES = [
  {
    title: "The last ferry",
    text: `The ferry to the island left at nine, or when the captain had finished his coffee. On the evening of the fourteenth it carried nine passengers, two bicycles and a crate of lemons.

Jonah stood at the bow with a ring in his coat pocket. He had practised the sentence in the train, on the pier and in the mirror of the waiting room. Tomorrow at breakfast he would say it aloud.

Half a mile out, the fog came down. It did not roll in, as people say. One moment there were stars, and the next there was nothing at all, not even the water.

The engine coughed and stopped. In the silence they heard a second engine, much larger, somewhere on the left, and it was coming towards them.

The captain rang the bell and shouted into the white. A child began to whimper. Jonah gripped the rail so hard that his fingers went numb, and he thought, quite clearly, that he could not swim as far as the shore.

A wall of black steel slid out of the fog, as high as a church. It passed so close that they could read the rust on its plates. The wave lifted them, held them for one terrible breath, and let them down.

Nobody spoke. Then the old woman with the lemons said that she had not come all this way to be sunk by a banana boat, and everyone laughed far too loudly.

"They never even slowed down!" The captain flung his cap on the deck. "Twenty years I have reported them. Twenty years! They will drown somebody, and then they will write a letter to say how sorry they are."

They drifted for an hour. The passengers shared two blankets, a flask of tea and most of the lemons. The child fell asleep against Jonah's arm, and he did not dare to move it.

He thought about his father, who had gone out from this harbour and had not come home. His boots had stood by the door until the spring. Jonah still missed him, every day, and there was no grave to visit.

Towards midnight a voice called his name out of the dark. His name! He stared at the small light that came towards them over the water. He had not told anyone which ferry he would take.

Mara had rowed out alone. She was soaked and furious and had lost an oar, and she was the most beautiful thing that he had ever seen. He forgot the whole sentence and simply held out the ring.

"Yes, you idiot," she said. "Now catch the rope." And nine people cheered in the fog, and the captain rang the bell until the island answered.`,
  },
  {
    title: "The pear tree",
    text: `The bus stops beside the bakery four times a day. Ines got off, set down her suitcase, and read the timetable. The last bus back to the station was at ten past six.

She had counted the days to this morning, and now she counted the steps to the gate. In a minute she would turn the key, open the green door and see the kitchen again, after eleven years. She could hardly wait.

The house was colder than she remembered. A sheet lay over the armchair, and somebody had stopped the clock at twenty past four.

On the table stood a cake under a glass cover, with her name on it in wobbly sugar letters. She had expected dust and a note from the lawyer. She had not expected a cake.

"You are two hours early," said a voice behind her, and it was Tomas from next door, with flour on his eyebrows and his arms full of plates. They both laughed until they had to sit down, and every time one of them stopped, the other began again.

He put down the plates and hugged her, and for a while neither of them said a word. He still smelled of pears and sawdust. She had missed him more than she had allowed herself to know.

Then he told her about the last winter. How her grandmother had grown too weak for the stairs, how they had carried the bed down to the window, how she had asked every evening whether there was a letter.

There had been no letter. Ines had meant to write; she had bought the paper and even the stamps. She sat down on the covered armchair and cried without a sound, as she had as a child.

"Your uncle came in March," Tomas said. "He took the silver, and the radio, and the pictures off the wall, while she was asleep in the next room. He did not even close the gate behind him."

Ines slammed her hand on the table so hard that the cups rang. How dared he! Not one visit in eleven years, and then he robs an old woman in her sleep. "That rotten thief," she said. "I want every piece of it back."

In the cellar, the shelves he had emptied were furred with grey mould. Something had died behind the boiler. She pulled her scarf over her nose and backed up the stairs, retching.

At night the wind rose, and the stairs began to creak, one after the other, exactly as they did under someone's weight. She lay without moving and listened to the steps come closer.

It was the cat. It was only the old one-eared cat, which jumped on to the bed, turned around twice and fell asleep on her feet.

In the morning the whole pear tree was in blossom. They carried the table into the garden, the neighbours came with cups and chairs and a fiddle, and Ines cut the cake and danced with everyone who asked her.`,
  },
  {
    title: "Best in show",
    text: `The village hall opened at ten. Entries for the cake competition were placed on the long table in the order of their arrival and were given a number.

Mrs Adeyemi had won for six years in a row. This year she had baked a tower of four layers with sugar violets, and she could hardly wait for the judges to lift the first slice.

At a quarter past ten her rival walked in with a plain brown loaf. No icing, no fruit. Mrs Adeyemi stared at it. Of all the things that Colin Pratt might have made, she would never have guessed that.

She felt sorry for him, in a way. His wife had always decorated the cakes, and this was his first summer without her. He stood beside his loaf with his hat in his hands, as if he were waiting for a train.

The judges began at the far end. One of them bit into an almond tart, stopped chewing, and took from her mouth a long, wet, ginger hair. She wiped her tongue with a napkin, and then with another one.

It got worse. The trifle had turned. It gave off a smell of warm fish, and when the spoon went in, something grey came up between the layers.

Then a boy ran through the hall after his dog, and the dog ran under the table, and the tower of four layers leaned, slowly, like a tired man, and fell on its face.

"Who let that stupid animal in?" Mrs Adeyemi shouted. Three days of work, ruined! How dared they! She would have the parents fined, she would have the hall closed, she would have the dog stuffed.

The boy had gone white. He backed against the piano with his arms around the dog's neck, and he looked at her as if she were about to bite them both.

She saw his face, and knelt down among the violets in her good skirt. She stroked the dog's ears, dried the boy's cheeks with her sleeve, and told him that it was only a cake.

Colin Pratt cleared his throat. He cut his loaf into slices and handed them round, to the judges, to the boy, and the first one to her. It was his wife's recipe, he said. She had baked it every Sunday until the last one. He had eaten alone since then, and the kitchen was so quiet.

It was wonderful. Mrs Adeyemi ate her slice to the last crumb, laughed out loud, and pinned the blue ribbon on his jacket. The whole hall stood up and cheered, and the boy threw his cap in the air.`,
  },
];
