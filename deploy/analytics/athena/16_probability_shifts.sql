-- How the probability of each emotion changed. It is 0 for a model that does not have the emotion.
CREATE OR REPLACE VIEW emotions.stories_probability_shifts AS
SELECT
  emotion,
  COUNT(*) AS paragraphs,
  AVG(before) AS mean_before,
  AVG(after) AS mean_after,
  AVG(after - before) AS mean_shift,
  AVG(ABS(after - before)) AS mean_absolute_shift,
  MAX(ABS(after - before)) AS largest_shift,
  CAST(SUM(CASE WHEN has_label AND NOT had_label THEN 1 ELSE 0 END) AS BIGINT) AS gained,
  CAST(SUM(CASE WHEN had_label AND NOT has_label THEN 1 ELSE 0 END) AS BIGINT) AS lost
FROM (
  SELECT
    emotions.emotion,
    COALESCE(
      CASE emotions.emotion
        WHEN 'joy'
        THEN CAST(scores_before."joy" AS DOUBLE)
        WHEN 'sadness'
        THEN CAST(scores_before."sadness" AS DOUBLE)
        WHEN 'anger'
        THEN CAST(scores_before."anger" AS DOUBLE)
        WHEN 'fear'
        THEN CAST(scores_before."fear" AS DOUBLE)
        WHEN 'anticipation'
        THEN CAST(scores_before."anticipation" AS DOUBLE)
        WHEN 'surprise'
        THEN CAST(scores_before."surprise" AS DOUBLE)
        WHEN 'love'
        THEN CAST(scores_before."love" AS DOUBLE)
        WHEN 'disgust'
        THEN CAST(scores_before."disgust" AS DOUBLE)
        WHEN 'neutral'
        THEN CAST(scores_before."neutral" AS DOUBLE)
      END,
      0
    ) AS before,
    COALESCE(
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
      END,
      0
    ) AS after,
    scores_before.label = emotions.emotion AS had_label,
    scores.label = emotions.emotion AS has_label
  FROM emotions.stories AS scores
  JOIN emotions.stories_before AS scores_before
    ON scores_before.id = scores.id AND scores_before.text_sha256 = scores.text_sha256
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
    scores.deleted_at IS NULL AND scores_before.deleted_at IS NULL
) AS pairs
GROUP BY
  emotion
