"""Given names of several cultures, for swaps of names in a text.

Names that are also English words (Rose, Will, Grace, Hope, Mark, Jack) are not in the list: a swap
must not change another word.
"""

from typing import Final

GIVEN_NAMES: Final = (
    "Achieng", "Adaeze", "Aigul", "Alastair", "Aldana", "Aldous", "Alice", "Amara", "Ambrose", "Amrit", "Ana",
    "Anacleto", "Andrew", "Anna", "Anneke", "Anneli", "Annie", "Anselm", "Anselmo", "Apolonia", "Arjun", "Aroha",
    "Arslan", "Arthur", "Astrid", "Aune", "Aurelio", "Ayşe", "Babak", "Baptiste", "Barbara", "Barnabas", "Bartek",
    "Bashir", "Benedikta", "Benilde", "Benjamin", "Benno", "Bernard", "Bertha", "Bertil", "Bertram", "Betty",
    "Birgitte", "Blaise", "Bogdan", "Bonifacio", "Bridget", "Caetano", "Calixto", "Callum", "Carmelo", "Casimir",
    "Catherine", "Catrin", "Celestino", "Charles", "Charlie", "Charlotte", "Chiamaka", "Chiyo", "Clara", "Colm",
    "Cosima", "Dafydd", "Daniel", "Daniyar", "Dara", "Dario", "David", "Davit", "Dayo", "DeShawn", "Delphine",
    "Desanka", "Desmond", "Diego", "Dmitri", "Dolores", "Doreen", "Dumitru", "Ebru", "Ede", "Edith", "Edward", "Edwin",
    "Eleanor", "Eleni", "Eliza", "Elizabeth", "Ellen", "Emeka", "Emeric", "Emilio", "Emily", "Emma", "Emre", "Enzo",
    "Ephraim", "Evelyn", "Fanny", "Fatima", "Fatou", "Femke", "Fergus", "Fikru", "Finn", "Florence", "Folake", "Galina",
    "Gennaro", "George", "Gerald", "Gleb", "Graham", "Gregor", "Guadalupe", "Hadiza", "Hakon", "Halima", "Halinka",
    "Hannah", "Hannelore", "Haoran", "Harriet", "Harry", "Haruka", "Hector", "Helen", "Henrietta", "Henry", "Hepzibah",
    "Hugo", "Ifeoma", "Ignacio", "Ilse", "Imogen", "Ines", "Ingeborg", "Ingrid", "Iolanda", "Iqbal", "Iracema",
    "Isaura", "Isidro", "Itzel", "Jacinta", "Jacob", "Jamal", "James", "Jane", "Javier", "Jenny", "Jianguo", "Joan",
    "Joanna", "John", "Jonathan", "Joseph", "Joshua", "Josiah", "Jovita", "João", "Julia", "Juliette", "Kamen", "Karel",
    "Katarzyna", "Kate", "Kazimir", "Keiko", "Kenji", "Kofi", "Kwame", "Lakisha", "Lakshmi", "Lalita", "Lasse",
    "Latoya", "Laura", "Layla", "Lazar", "Lena", "Leocadia", "Leopold", "Lewis", "Lionel", "Liwayway", "Loretta",
    "Louis", "Louisa", "Luc", "Luca", "Lucy", "Lupe", "Magda", "Marama", "Marcos", "Marek", "Margaret", "Marguerite",
    "Marit", "Martha", "Mary", "Mateo", "Mateus", "Matthew", "Matthias", "Mehmet", "Mei", "Meiling", "Michael",
    "Michiko", "Mingma", "Mireille", "Mirko", "Molly", "Morag", "Moussa", "Mungo", "Mustafa", "Nadia", "Nancy",
    "Nathan", "Neil", "Nicanor", "Nikos", "Nils", "Nkechi", "Nkem", "Noor", "Nurlan", "Nyameka", "Odile", "Oksana",
    "Oliver", "Olumide", "Omar", "Osman", "Osric", "Ottar", "Ottilie", "Paolo", "Pasang", "Perpetua", "Peter", "Petra",
    "Philip", "Philippa", "Piet", "Pietro", "Pilar", "Povilas", "Priya", "Rachel", "Rafael", "Ragna", "Ragni", "Rahim",
    "Rajesh", "Ramesh", "Ramona", "Rashid", "Rebecca", "Richard", "Rita", "Robert", "Rosamund", "Rowena", "Ruben",
    "Rupert", "Rurik", "Ruth", "Sabela", "Salvador", "Sami", "Samira", "Samuel", "Sarah", "Selam", "Severin", "Shanice",
    "Sharmila", "Sidonie", "Silas", "Simon", "Sizwe", "Snezana", "Solange", "Solfrid", "Sophie", "Sorley", "Stephen",
    "Sunniva", "Susan", "Svetlana", "Szilard", "Taisiya", "Takeshi", "Tamsin", "Tarkan", "Tekle", "Temir", "Teo",
    "Teresa", "Teunis", "Thandeka", "Thandi", "Theo", "Thomas", "Tollak", "Tomas", "Tomasz", "Turid", "Tuyet", "Vesna",
    "Vesta", "Viktor", "Vytenis", "Walt", "Walter", "Wanjiru", "Wayra", "Wiktor", "Wilhelmina", "William", "Ximena",
    "Xiomara", "Xiuying", "Yusuf", "Yvonne", "Zarina", "Zenobia", "Zeynep", "Zoltan",
)  # fmt: skip
"""Names that a swap finds in a text."""

CULTURES: Final = {
    "English": ("Emily", "Thomas", "Margaret", "George"),
    "African American": ("Lakisha", "DeShawn", "Latoya", "Jamal"),
    "Arabic": ("Fatima", "Omar", "Layla", "Yusuf"),
    "Chinese": ("Xiuying", "Jianguo", "Meiling", "Haoran"),
    "East European": ("Svetlana", "Bogdan", "Katarzyna", "Dmitri"),
    "Igbo and Yoruba": ("Chiamaka", "Emeka", "Adaeze", "Olumide"),
    "Indian": ("Priya", "Rajesh", "Lakshmi", "Arjun"),
    "Japanese": ("Haruka", "Kenji", "Michiko", "Takeshi"),
    "Latin American": ("Guadalupe", "Javier", "Ximena", "Diego"),
    "Turkish": ("Ayşe", "Mehmet", "Zeynep", "Emre"),
}
"""Four names of each culture."""
