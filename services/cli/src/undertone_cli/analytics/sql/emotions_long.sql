-- One row for each paragraph and emotion, unless the model of the score has no such emotion.
--
-- id: the id of the paragraph
-- document: the story, or NULL
-- position: the position in the story, from 0, or NULL
-- label: the emotion with the highest probability
-- label_count: the number of emotions of the paragraph: 1 from a single-label model
-- emotion: the emotion of this row
-- probability: the probability of this emotion
-- has_label: whether this emotion is one of those of the paragraph
-- tokens: the number of tokens of the text
-- flagged: whether the score is not reliable; flags of paragraphs has the reasons
-- model: name, version, precision and policy
-- day: the date of the score, in UTC
SELECT * FROM (
  SELECT
    scores.id,
    scores.document,
    scores.position,
    scores.label,
    CAST(LABEL_COUNT(scores) AS BIGINT) AS label_count,
    emotions.emotion,
    PROBABILITY_OF(scores, emotions.emotion) AS probability,
    HAS_LABEL(scores, emotions.emotion) AS has_label,
    scores.tokens,
    COALESCE(scores.flags, '') <> '' AS flagged,
    MODEL_OF(scores) AS model,
    DAY_IN_UTC(scores.scored_at) AS day
  FROM scores
  CROSS JOIN LABELS AS emotions
  WHERE scores.deleted_at IS NULL
) AS probabilities
WHERE probability IS NOT NULL
