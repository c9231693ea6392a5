-- One row for each paragraph and emotion, unless the model of the score has no such emotion.
CREATE OR REPLACE VIEW stories_emotions_long AS
SELECT
  *
FROM (
  SELECT
    scores.id,
    scores.document,
    scores.position,
    scores.label,
    CAST(1 AS BIGINT) AS label_count,
    emotions.emotion,
    CASE emotions.emotion
      WHEN 'joy'
      THEN CAST(scores."joy" AS DOUBLE)
      WHEN 'sadness'
      THEN CAST(scores."sadness" AS DOUBLE)
      WHEN 'anger'
      THEN CAST(scores."anger" AS DOUBLE)
      WHEN 'fear'
      THEN CAST(scores."fear" AS DOUBLE)
      WHEN 'anticipation'
      THEN CAST(scores."anticipation" AS DOUBLE)
      WHEN 'surprise'
      THEN CAST(scores."surprise" AS DOUBLE)
      WHEN 'love'
      THEN CAST(scores."love" AS DOUBLE)
      WHEN 'disgust'
      THEN CAST(scores."disgust" AS DOUBLE)
      WHEN 'neutral'
      THEN CAST(scores."neutral" AS DOUBLE)
    END AS probability,
    scores.label = emotions.emotion AS has_label,
    scores.tokens,
    COALESCE(scores.flags, '') <> '' AS flagged,
    scores.model_name || ' ' || CAST(scores.model_version AS TEXT) || ' ' || scores."precision" || ' (' || scores.policy || ')' AS model,
    CAST(scores.scored_at AT TIME ZONE 'UTC' AS DATE) AS day
  FROM undertone.emotions.stories AS scores
  CROSS JOIN (VALUES
    ('joy'),
    ('sadness'),
    ('anger'),
    ('fear'),
    ('anticipation'),
    ('surprise'),
    ('love'),
    ('disgust'),
    ('neutral')) AS emotions(emotion)
  WHERE
    scores.deleted_at IS NULL
) AS probabilities
WHERE
  NOT probability IS NULL
